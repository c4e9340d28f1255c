//! Videos: they go out as they are, with their length and size. Nothing here decodes pictures of a video.

use shared::domain::content::File;

use super::{About, FileError, Made, mp4};

/// A video for a message.
pub fn make(bytes: &[u8], found: Option<&'static str>) -> Result<Made, FileError> {
    let Some(mime_type @ ("video/mp4" | "video/3gpp")) = found else {
        return Err(FileError::of_type("the file is no MP4 and no 3GPP video"));
    };
    let movie = mp4::read(bytes).ok_or_else(|| FileError::of_type("the video is cut: it has no head"))?;
    if !movie.has_video {
        return Err(FileError::of_type("the file has no pictures"));
    }
    let file = File {
        mime_type: Some(mime_type.to_owned()),
        seconds: movie.seconds,
        width: movie.size.map(|(width, _)| width),
        height: movie.size.map(|(_, height)| height),
        ..File::default()
    };
    let about = About {
        file,
        ..About::default()
    };
    Ok(Made { about, bytes: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_video_needs_a_head_and_pictures() {
        let whole = mp4::tests::file(*b"vide", 320, 240, false);
        let file = make(&whole, Some("video/mp4")).expect("a video").about.file;
        assert_eq!(
            (file.seconds, file.width, file.height),
            (Some(3), Some(320), Some(240))
        );
        assert!(make(&whole[..900], Some("video/mp4")).is_err(), "cut");
        let sound = mp4::tests::file(*b"soun", 0, 0, false);
        assert!(make(&sound, Some("video/mp4")).is_err());
        assert!(make(&whole, Some("video/webm")).is_err());
    }
}
