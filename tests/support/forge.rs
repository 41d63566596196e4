//! Components that no compiler makes.

const CUSTOM_SECTION: u8 = 0;
const TYPE_SECTION: u8 = 7;
const EXPORT_SECTION: u8 = 11;
const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

/// The component with as many bytes as this, most of which mean nothing.
pub(crate) fn padded(component: &[u8], size: usize) -> Vec<u8> {
    // Its id, its size in five bytes, and the length of its empty name.
    let rest = size - component.len() - 7;
    let mut bytes = component.to_vec();
    bytes.push(CUSTOM_SECTION);
    let mut left = rest + 1;
    for _ in 0..4 {
        bytes.push(left as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes.push(0);
    bytes.resize(size, 0);
    bytes
}

/// The component with a section that nobody reads, which makes it another one.
pub(crate) fn with_section(component: &[u8], content: &[u8]) -> Vec<u8> {
    let name = b"\x04mine".to_vec();
    let custom = section(CUSTOM_SECTION, [&name, content].concat());
    [component, &custom].concat()
}

/// A component that exports nothing and takes a machine of any speed long to compile.
pub(crate) fn laborious() -> Vec<u8> {
    const FUNCTIONS: usize = 3_000;
    let squares = "local.get 0 local.get 0 i64.mul local.set 0 ".repeat(20);
    let function = format!("(func (param i64) (result i64) {squares} local.get 0)");
    let text = format!("(component (core module {}))", function.repeat(FUNCTIONS));
    wat::parse_str(text).expect("a component")
}

/// A component that exports nothing but a type: lists of lists, this deep.
pub(crate) fn nested(levels: u32) -> Vec<u8> {
    let mut types = leb(u64::from(levels) + 1);
    types.push(U8);
    for inner in 0..levels {
        types.push(LIST);
        types.extend(signed(inner));
    }
    let mut exports = leb(1);
    exports.extend(b"\0\x04deep");
    exports.push(TYPE);
    exports.extend(leb(u64::from(levels)));
    exports.push(0);
    [
        HEADER.to_vec(),
        section(TYPE_SECTION, types),
        section(EXPORT_SECTION, exports),
    ]
    .concat()
}

const U8: u8 = 0x7d;
const LIST: u8 = 0x70;
const TYPE: u8 = 0x03;

fn section(id: u8, content: Vec<u8>) -> Vec<u8> {
    [vec![id], leb(content.len() as u64), content].concat()
}

fn leb(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A number that is not negative, in the signed form: its highest bit is no sign.
fn signed(number: u32) -> Vec<u8> {
    let mut bytes = leb(u64::from(number));
    if let Some(last) = bytes.last_mut()
        && *last & 0x40 != 0
    {
        *last |= 0x80;
        bytes.push(0);
    }
    bytes
}
