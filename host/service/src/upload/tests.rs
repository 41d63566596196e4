//! What uploads promise, as sentences.

use std::io::Cursor;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use atropos::domain::NewTenant;
use atropos::ports::Database;
use atropos::target::WebsiteId;
use atropos_stores::local::Local;
use atropos_stores::sqlite::Sqlite;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use tokio::io::ReadBuf;

use super::*;

struct House {
    rows: Arc<dyn Database>,
    uploads: Uploads,
    tenant: TenantId,
    dir: tempfile::TempDir,
}

impl House {
    async fn new(limits: config::Upload) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let rows = Arc::new(Sqlite::open(dir.path()).unwrap());
        let blobs = Arc::new(Local::open(dir.path(), &*rows).unwrap());
        let rows: Arc<dyn Database> = rows;
        let tenant = rows.create_tenant(NewTenant {
            subdomain: "mytenant".parse().unwrap(),
            website_id: WebsiteId::new(7).unwrap(),
            chain: Vec::new(),
            at_ms: 1,
            by: String::new(),
        });
        Self {
            tenant: tenant.await.unwrap().id,
            uploads: Uploads::new(rows.clone(), blobs, &limits),
            rows,
            dir,
        }
    }

    fn upload(&self, id: Option<&str>, name: &str) -> NewUpload {
        NewUpload {
            tenant: self.tenant,
            owner: "6".to_owned(),
            id: id.map(str::to_owned),
            name: name.to_owned(),
            labels: vec!["b".to_owned(), "a".to_owned(), "b".to_owned()],
            retain_until_ms: Some(9),
        }
    }

    async fn photo(&self, mut bytes: &[u8]) -> Result<Stored, UploadError> {
        let new = self.upload(None, "cat.png");
        self.uploads.photo(new, &mut bytes).await
    }

    async fn document(&self, name: &str, mut bytes: &[u8]) -> Result<Stored, UploadError> {
        let new = self.upload(None, name);
        self.uploads.document(new, &mut bytes).await
    }

    fn files(&self) -> usize {
        fn count(dir: &Path) -> usize {
            let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
            entries
                .map(|entry| {
                    if entry.path().is_dir() {
                        count(&entry.path())
                    } else {
                        1
                    }
                })
                .sum()
        }
        let marker = 1;
        count(&self.dir.path().join("blobs")) - marker
    }

    fn standard(&self, stored: &Stored) -> DynamicImage {
        let key = stored.renditions[1].key.to_string();
        let (shard, name) = key.split_at(2);
        let path = self.dir.path().join("blobs").join(shard).join(name);
        image::load_from_memory(&std::fs::read(path).unwrap()).unwrap()
    }
}

fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn small() -> config::Upload {
    config::Upload {
        max_photo_bytes: 100_000,
        max_photo_pixels: 10_000,
        max_document_bytes: 1_000,
        standard_side_px: 40,
        ..config::Upload::default()
    }
}

#[tokio::test]
async fn a_photo_is_kept_whole_with_a_smaller_form() {
    let house = House::new(small()).await;
    let bytes = encoded(
        RgbImage::from_pixel(80, 60, Rgb([9, 8, 7])),
        ImageFormat::Png,
    );
    let stored = house.photo(&bytes).await.unwrap();
    assert_eq!(stored.dimensions, Some((80, 60)));
    assert_eq!(stored.object.media_type, "image/png");
    assert_eq!(stored.object.size_bytes, bytes.len() as u64);
    assert_eq!(stored.object.labels, ["a", "b"]);
    assert_eq!(stored.object.retain_until_ms, Some(9));
    assert_eq!(
        Uuid::try_parse(&stored.object.target.id)
            .unwrap()
            .get_version_num(),
        4
    );
    let [original, standard] = stored.renditions.as_slice() else {
        panic!("two renditions");
    };
    assert_eq!(
        (original.name.as_str(), standard.name.as_str()),
        ("original", "standard")
    );
    assert_eq!(standard.media_type, "image/jpeg");
    let smaller = house.standard(&stored);
    assert_eq!((smaller.width(), smaller.height()), (40, 30));
    let found = house
        .rows
        .show(&stored.object.target)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.object, stored.object);
    assert_eq!(found.renditions, stored.renditions);
    assert!(house.rows.backlog(u64::MAX, 10).await.unwrap().due == 0);
}

#[tokio::test]
async fn transparency_is_kept_and_small_pictures_are_not_enlarged() {
    let house = House::new(small()).await;
    let bytes = encoded(
        RgbaImage::from_pixel(8, 6, Rgba([9, 8, 7, 0])),
        ImageFormat::WebP,
    );
    let stored = house.photo(&bytes).await.unwrap();
    assert_eq!(stored.object.media_type, "image/webp");
    assert_eq!(stored.renditions[1].media_type, "image/png");
    let smaller = house.standard(&stored);
    assert_eq!((smaller.width(), smaller.height()), (8, 6));
    assert_eq!(smaller.to_rgba8().get_pixel(0, 0)[3], 0);
}

#[tokio::test]
async fn a_turned_photo_stands_upright() {
    let house = House::new(small()).await;
    let picture = RgbImage::from_pixel(20, 10, Rgb([9, 8, 7]));
    let jpeg = encoded(picture, ImageFormat::Jpeg);
    // EXIF with the orientation "turn right", put behind the start of the image.
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0".to_vec();
    exif.extend([0; 4]);
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let turned = [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat();
    let stored = house.photo(&turned).await.unwrap();
    assert_eq!(stored.dimensions, Some((10, 20)));
    assert_eq!(house.standard(&stored).height(), 20);
}

#[tokio::test]
async fn what_is_no_picture_is_refused_and_leaves_nothing() {
    let house = House::new(small()).await;
    let png = encoded(RgbImage::new(9, 9), ImageFormat::Png);
    assert!(matches!(house.photo(b"").await, Err(UploadError::Empty)));
    assert!(matches!(
        house.photo(b"GIF89a").await,
        Err(UploadError::NotAPicture)
    ));
    assert!(matches!(
        house.photo(b"<svg/>").await,
        Err(UploadError::NotAPicture)
    ));
    assert!(matches!(
        house.photo(&png[..40]).await,
        Err(UploadError::NotAPicture)
    ));
    let large = vec![0; 100_001];
    assert!(matches!(
        house.photo(&large).await,
        Err(UploadError::TooLarge { limit: 100_000 })
    ));
    assert_eq!(house.files(), 0);
}

#[tokio::test]
async fn a_picture_of_too_many_pixels_is_not_decoded() {
    let house = House::new(small()).await;
    let bomb = encoded(RgbImage::new(101, 100), ImageFormat::Png);
    let refused = house.photo(&bomb).await;
    assert!(matches!(
        refused,
        Err(UploadError::TooManyPixels { limit: 10_000 })
    ));
    // A header that promises four billion pixels, and nothing behind it.
    let mut header = encoded(RgbImage::new(1, 1), ImageFormat::Png);
    header[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    assert!(house.photo(&header).await.is_err());
    assert_eq!(house.files(), 0);
}

#[tokio::test]
async fn a_picture_without_a_pixel_is_none() {
    let house = House::new(small()).await;
    let palette = DynamicImage::from(RgbaImage::from_pixel(1, 3, Rgba([1, 2, 3, 255])));
    let mut empty = encoded(palette, ImageFormat::Gif);
    // The width of the whole; that of its one frame stays.
    empty[6..8].copy_from_slice(&[0, 0]);
    let refused = house.photo(&empty).await;
    assert!(
        matches!(refused, Err(UploadError::NotAPicture)),
        "{refused:?}"
    );
    assert_eq!(house.files(), 0);
}

#[tokio::test]
async fn a_frame_larger_than_its_picture_says_is_not_decoded() {
    let house = House::new(small()).await;
    let frame = [
        &b"RIFF\x32\0\0\0WEBP"[..],
        // 50 by 3 pixels.
        b"VP8X\x0a\0\0\0\0\0\0\0\x31\0\0\x02\0\0",
        // 16383 by 16383.
        b"VP8 \x14\0\0\0\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f\0\0\0\0\0\0\0\0\0\0",
    ];
    let refused = house.photo(&frame.concat()).await;
    assert!(
        matches!(refused, Err(UploadError::TooManyPixels { limit: 10_000 })),
        "{refused:?}"
    );
    assert_eq!(house.files(), 0);
}

#[tokio::test]
async fn a_document_is_what_its_name_says() {
    let house = House::new(small()).await;
    for (name, media_type) in [
        ("report.pdf", "application/pdf"),
        ("REPORT.PDF", "application/pdf"),
        ("notes", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("", "application/octet-stream"),
    ] {
        let stored = house.document(name, b"content").await.unwrap();
        assert_eq!(stored.object.media_type, media_type, "{name}");
        assert_eq!(stored.object.size_bytes, 7);
        assert_eq!(stored.name, name);
        assert_eq!(stored.dimensions, None);
    }
}

#[tokio::test]
async fn a_document_beyond_its_size_is_refused_and_leaves_no_byte() {
    let house = House::new(small()).await;
    let refused = house.document("a.txt", &[7; 1001]).await;
    assert!(matches!(
        refused,
        Err(UploadError::TooLarge { limit: 1000 })
    ));
    assert!(matches!(
        house.document("a.txt", b"").await,
        Err(UploadError::Empty)
    ));
    assert_eq!(house.files(), 0);
    house.document("a.txt", &[7; 1000]).await.unwrap();
}

fn uploader() -> Uploader {
    Uploader::Client("a client".to_owned())
}

#[tokio::test]
async fn what_was_received_is_an_object_only_when_it_is_known_whose() {
    let house = House::new(small()).await;
    let bytes = encoded(RgbImage::new(9, 9), ImageFormat::Png);
    let received = house
        .uploads
        .receive(Kind::Photo, uploader(), &mut bytes.as_slice(), 1000)
        .await
        .unwrap();
    assert_eq!(house.files(), 1, "the bytes are on the disk");
    let new = house.upload(None, "cat.png");
    let stored = house.uploads.finish(new, received).await.unwrap();
    assert_eq!(stored.object.size_bytes, bytes.len() as u64);
    assert!(house.rows.backlog(u64::MAX, 10).await.unwrap().due == 0);

    let received = house
        .uploads
        .receive(Kind::Photo, uploader(), &mut bytes.as_slice(), 1000)
        .await
        .unwrap();
    house.uploads.discard(received).await;
    assert_eq!(house.files(), 2, "those of the stored one");
    let refused = house
        .uploads
        .receive(Kind::Document, uploader(), &mut bytes.as_slice(), 10)
        .await;
    assert!(matches!(refused, Err(UploadError::TooLarge { limit: 10 })));
    assert_eq!(house.files(), 2);
}

struct Breaking(bool);

impl AsyncRead for Breaking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
        }
        buffer.put_slice(b"the first half");
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_no_byte() {
    let house = House::new(small()).await;
    let new = house.upload(None, "a.txt");
    let refused = house.uploads.document(new, &mut Breaking(false)).await;
    assert!(matches!(refused, Err(UploadError::Read(_))));
    let new = house.upload(None, "a.png");
    let refused = house.uploads.photo(new, &mut Breaking(false)).await;
    assert!(matches!(refused, Err(UploadError::Read(_))));
    assert_eq!(house.files(), 0);
}

#[tokio::test]
async fn a_given_id_is_kept_and_taken_once() {
    let house = House::new(small()).await;
    let guid = "FCC588F3-7D6C-4E2B-9F7D-000000000001";
    let new = || house.upload(Some(guid), "a.txt");
    let stored = house.uploads.document(new(), &mut &b"1"[..]).await.unwrap();
    assert_eq!(stored.object.target.id, guid.to_ascii_lowercase());
    let again = house.uploads.document(new(), &mut &b"2"[..]).await;
    assert!(matches!(
        again,
        Err(UploadError::Store(StoreError::Taken { .. }))
    ));
    let bytes = encoded(RgbImage::new(9, 9), ImageFormat::Png);
    let photo = house
        .uploads
        .photo(new(), &mut bytes.as_slice())
        .await
        .unwrap();
    assert_eq!(
        photo.object.target.id, guid,
        "a photo's id is kept as given"
    );
    assert_eq!(house.files(), 3);
}

#[tokio::test]
async fn of_two_uploads_of_one_id_at_once_one_is_whole_and_the_other_leaves_nothing() {
    let house = House::new(small()).await;
    let new = || house.upload(Some("x"), "a.txt");
    let (mut one, mut two) = (&b"one"[..], &b"two"[..]);
    let (first, second) = tokio::join!(
        house.uploads.document(new(), &mut one),
        house.uploads.document(new(), &mut two),
    );
    assert!(first.is_ok() != second.is_ok());
    assert_eq!(house.files(), 1);
}

fn grey(width: u32, height: u32) -> Vec<u8> {
    encoded(image::GrayImage::new(width, height), ImageFormat::Png)
}

#[tokio::test]
async fn a_picture_of_64_megapixels_is_taken_and_a_larger_one_is_not() {
    let house = House::new(config::Upload::default()).await;
    let stored = house.photo(&grey(8000, 8000)).await.unwrap();
    assert_eq!(stored.dimensions, Some((8000, 8000)));
    let refused = house.photo(&grey(8000, 8001)).await;
    assert!(
        matches!(
            refused,
            Err(UploadError::TooManyPixels { limit: 64_000_000 })
        ),
        "{refused:?}"
    );
    let refused = house.photo(&grey(65_536, 1)).await;
    assert!(
        matches!(refused, Err(UploadError::TooLong { limit: 65_535 })),
        "{refused:?}"
    );
}

/// The same JPEG with a frame of so many components.
fn with_components(jpeg: &[u8], components: u8) -> Vec<u8> {
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    let next = frame + 2 + usize::from(jpeg[frame + 3]);
    let mut head = jpeg[frame..frame + 9].to_vec();
    head.push(components);
    for component in 1..=components {
        head.extend([component, 0x11, 0]);
    }
    head[3] = u8::try_from(head.len() - 2).unwrap();
    [&jpeg[..frame], &head, &jpeg[next..]].concat()
}

#[tokio::test]
async fn a_picture_that_takes_more_for_a_pixel_may_have_fewer() {
    let house = House::new(small()).await;
    let jpeg = encoded(RgbImage::new(100, 100), ImageFormat::Jpeg);
    assert!(house.photo(&jpeg).await.is_ok());
    let refused = house.photo(&with_components(&jpeg, 4)).await;
    // 9 bytes for each of 10,000 pixels are 8,181 pixels of 11 bytes.
    assert!(
        matches!(refused, Err(UploadError::TooManyPixels { limit: 8181 })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_jpeg_of_too_many_scans_is_not_decoded() {
    let house = House::new(small()).await;
    let jpeg = encoded(RgbImage::new(9, 9), ImageFormat::Jpeg);
    let scan = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xda])
        .unwrap();
    let (head, scan) = jpeg[..jpeg.len() - 2].split_at(scan);
    let scans = |many: usize| [head, &scan.repeat(many), &[0xff, 0xd9]].concat();
    assert!(house.photo(&scans(32)).await.is_ok());
    let refused = house.photo(&scans(33)).await;
    assert!(
        matches!(refused, Err(UploadError::TooManyScans { limit: 32 })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_webp_whose_codes_take_more_than_its_pixels_could_is_not_decoded() {
    let house = House::new(small()).await;
    let bits = vp8l::tests::one_pixel(16_000);
    let size = u32::try_from(bits.len()).unwrap();
    let sizes = [size + 12, size].map(u32::to_le_bytes);
    let file = [b"RIFF", &sizes[0][..], b"WEBPVP8L", &sizes[1], &bits, &[0]].concat();
    let limits = config::Upload::default();
    let refused = Picture::decode(file, &limits).map(|_| ());
    assert!(
        matches!(refused, Err(UploadError::TooManyCodes { .. })),
        "{refused:?}"
    );
    let picture = RgbImage::from_fn(90, 90, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
    let stored = house.photo(&encoded(picture, ImageFormat::WebP)).await;
    assert_eq!(stored.unwrap().dimensions, Some((90, 90)));
}

#[tokio::test]
async fn what_a_picture_carries_beside_its_pixels_is_kept_with_it_and_not_decoded() {
    use image::ImageEncoder as _;
    let house = House::new(config::Upload::default()).await;
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    // More than a decoder may have for a picture of this size.
    encoder.set_icc_profile(vec![0; 80 << 20]).unwrap();
    let (picture, rgb) = (RgbImage::new(9, 9), image::ExtendedColorType::Rgb8);
    encoder.write_image(&picture, 9, 9, rgb).unwrap();
    let stored = house.photo(&bytes).await.unwrap();
    assert_eq!(stored.object.size_bytes, bytes.len() as u64);
}
