//! Photos of the demo's user, as a client sees and sends them.

use std::io::Cursor;

use serde_json::Value;

use super::{PHOTO_USER, SITE_KEY, Server, WEBSITE};

impl Server {
    pub(crate) fn photos(&self) -> Vec<Value> {
        let path = format!("/api/4/UploadImage/GetUserUploadedList?userId={PHOTO_USER}");
        let (status, body) = self.photo_call(&path);
        assert_eq!(status, 200, "{body}");
        body["Data"]["AssetList"]
            .as_array()
            .expect("assets")
            .clone()
    }

    pub(crate) fn photo_call(&self, path: &str) -> (u16, Value) {
        let request = self.http.get(self.url(path)).header("websiteId", WEBSITE);
        let response = request.header("webApiClientKey", SITE_KEY).send();
        super::answer(response.expect("an answer"))
    }

    pub(crate) fn upload_photo(&self, name: &str, bytes: Vec<u8>) -> Value {
        let (status, body) = self.try_upload_photo(name, bytes);
        assert_eq!(status, 200, "{body}");
        body["Data"].clone()
    }

    /// Status and body, whatever they are.
    pub(crate) fn try_upload_photo(&self, name: &str, bytes: Vec<u8>) -> (u16, Value) {
        use reqwest::blocking::multipart::{Form, Part};
        let form = Form::new()
            .text("userId", PHOTO_USER)
            .part("postedFile", Part::bytes(bytes).file_name(name.to_owned()));
        let request = self.http.post(self.url("/api/4/UploadImage/UploadImage"));
        let request = request.header("websiteId", WEBSITE);
        let request = request.header("webApiClientKey", SITE_KEY).multipart(form);
        super::answer(request.send().expect("an answer"))
    }

    pub(crate) fn photo_deletions(&self, id: &str) -> usize {
        let path = format!("/api/4/UploadImage/GetUserActivity?userId={PHOTO_USER}&pageSize=1000");
        let (_, body) = self.photo_call(&path);
        let events = body["Data"]["ActivityList"].as_array().expect("events");
        let deleted = |event: &&Value| event["Activity"] == "User Photo Delete";
        let events = events.iter().filter(deleted);
        events.filter(|event| event["Id"] == id).count()
    }
}

/// A PNG of this size in pixels.
pub(crate) fn picture(width: u32, height: u32) -> Vec<u8> {
    let pixel = |x, y| image::Rgb([(x % 256) as u8, (y % 256) as u8, 99]);
    let picture = image::RgbImage::from_fn(width, height, pixel);
    let mut png = Cursor::new(Vec::new());
    let written = picture.write_to(&mut png, image::ImageFormat::Png);
    written.expect("a picture");
    png.into_inner()
}
