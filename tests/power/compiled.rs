//! What one server has compiled, for those after it: to compile it takes a second each time, and is no subject
//! of these tests.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use parking_lot::Mutex;

/// The images of components, by name.
static IMAGES: Mutex<BTreeMap<OsString, Vec<u8>>> = Mutex::new(BTreeMap::new());

/// Puts what is compiled already into a data directory, before a server starts on it.
pub(super) fn lend(data_dir: &Path) {
    let folder = data_dir.join("components");
    fs::create_dir_all(&folder).expect("a directory");
    for (name, image) in &*IMAGES.lock() {
        fs::write(folder.join(name), image).expect("a file");
    }
}

/// Keeps what a server has compiled.
pub(super) fn keep(data_dir: &Path) {
    for image in fs::read_dir(data_dir.join("components")).expect("a directory") {
        let image = image.expect("an entry").path();
        if image.extension().is_some_and(|end| end == "image") {
            let (name, bytes) = (image.file_name().expect("a name"), fs::read(&image));
            let mut images = IMAGES.lock();
            images.insert(name.to_owned(), bytes.expect("a file"));
        }
    }
}
