//! What is said of a file: its validators and its media type.

use super::find::Found;
use crate::net::Status;
use crate::plan::Site;
use std::borrow::Cow;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// What is said of a file.
pub(super) struct Described<'a> {
    /// Its entity tag, a strong one (RFC 9110 §8.8.3).
    pub(super) etag: String,
    /// When it was modified, as an HTTP date.
    pub(super) modified: String,
    media: &'a str,
}

/// Times of modification up to here say nothing: archives and reproducible builds set them to 1970 or 1980.
const SET: i64 = 365 * 24 * 3600 * 10 + 4 * 24 * 3600;

impl<'a> Described<'a> {
    pub(super) fn of(site: &'a Site, found: &Found, now: SystemTime) -> Self {
        let media = media(site, &found.name);
        let mut etag = tag(&found.status);
        if let Some(coding) = found.coding {
            // Another representation has another tag.
            etag.insert_str(etag.len() - 1, &format!("-{}", coding.token()));
        }
        let modified = u64::try_from(found.status.modified.0).unwrap_or(0);
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(modified);
        Self {
            etag,
            // RFC 9110 §8.8.2.1: it is never later than Date.
            modified: httpdate::fmt_http_date(modified.min(now)),
            media,
        }
    }

    /// Its media type. Text is taken to be in UTF-8 where nothing else is said.
    pub(super) fn media_type(&self) -> Cow<'a, str> {
        match self.media.starts_with("text/") && !self.media.contains(';') {
            true => format!("{}; charset=utf-8", self.media).into(),
            false => self.media.into(),
        }
    }
}

/// A tag that changes with the content, and is the same on every host that has the same file, as copied with its time.
fn tag(status: &Status) -> String {
    let Status { size, modified, changed, inode, .. } = *status;
    let mut tag = format!("\"{:x}.{:x}-{size:x}", modified.0, modified.1);
    if modified.0 <= SET {
        let _ = write!(tag, "-{:x}.{:x}-{inode:x}", changed.0, changed.1);
    }
    tag.push('"');
    tag
}

/// The media type by the end of a name.
fn media<'a>(site: &'a Site, name: &[u8]) -> &'a str {
    const UNKNOWN: &str = "application/octet-stream";
    let name = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let Some(dot) = name.iter().rposition(|&byte| byte == b'.') else { return UNKNOWN };
    let Ok(end) = std::str::from_utf8(&name[dot + 1..]) else { return UNKNOWN };
    let own = if site.types.is_empty() { None } else { site.types.get(&end.to_ascii_lowercase()) };
    match own {
        Some(own) => own,
        None => mime_guess::from_ext(end).first_raw().unwrap_or(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Kind;

    const STATUS: Status =
        Status { kind: Kind::Regular, size: 10, modified: (1_700_000_000, 5), changed: (1_700_000_001, 6), inode: 7 };

    #[test]
    fn a_tag_is_that_of_the_content_and_not_of_the_host() {
        let tag_of = |change: fn(&mut Status)| {
            let mut status = STATUS;
            change(&mut status);
            tag(&status)
        };
        let same = tag(&STATUS);
        assert_eq!(same, "\"6553f100.5-a\"");
        assert_eq!(tag_of(|status| (status.inode, status.changed) = (8, (1, 1))), same);
        assert_ne!(tag_of(|status| status.size = 11), same);
        assert_ne!(tag_of(|status| status.modified.1 = 6), same);
    }

    #[test]
    fn a_time_that_says_nothing_is_not_relied_on() {
        for modified in [(0, 0), (1, 0), (315_532_800, 0), (-5, 0)] {
            let one = tag(&Status { modified, ..STATUS });
            assert_ne!(tag(&Status { modified, changed: (1_700_000_002, 6), ..STATUS }), one, "{modified:?}");
            assert_ne!(tag(&Status { modified, inode: 8, ..STATUS }), one, "{modified:?}");
        }
    }
}
