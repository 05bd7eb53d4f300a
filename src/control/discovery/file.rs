//! A file with targets, read again when it changes.

use super::found::Usual;
use super::listing;
use super::pace::Heard;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Between two looks at it.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// One that was written more lately than this may not be written to its end.
const SETTLED: Duration = Duration::from_millis(500);
/// The largest file, in bytes: 10,000 targets take a tenth of it.
const LARGEST: u64 = 8 << 20;

/// A file with targets.
pub(super) struct Listed {
    path: PathBuf,
    usual: Usual,
    /// How it was when it was read last, good or bad.
    read: Option<Stamp>,
    /// What was wrong with it then.
    wrong: Option<String>,
    asked: bool,
}

type Stamp = (SystemTime, u64);

impl Listed {
    pub(super) fn new(path: &Path, usual: Usual) -> Self {
        Self { path: path.to_owned(), usual, read: None, wrong: None, asked: false }
    }

    /// Looks at it. One that was written just now counts at the next look: it may be seen while it is written.
    pub(super) async fn look(&mut self) -> Heard {
        let (path, usual, known, first) = (self.path.clone(), self.usual, self.read, !self.asked);
        self.asked = true;
        let look = tokio::task::spawn_blocking(move || {
            let stamp = stamp(&path)?;
            let age = SystemTime::now().duration_since(stamp.0).unwrap_or(SETTLED);
            if Some(stamp) == known || age < SETTLED && !first {
                return Ok((stamp, None));
            }
            let text = text(&path)?;
            match self::stamp(&path)? == stamp {
                true => Ok((stamp, Some(listing::read(&text, &usual)))),
                false => Err("it changes while it is read".to_owned()),
            }
        });
        match look.await.unwrap_or_else(|error| Err(error.to_string())) {
            Ok((_, None)) => match &self.wrong {
                Some(why) => Heard::Failed(why.clone()),
                None => Heard::Same(EVERY),
            },
            Ok((stamp, Some(targets))) => {
                self.read = Some(stamp);
                self.wrong = targets.as_ref().err().cloned();
                match targets {
                    Ok(targets) => Heard::Targets(targets, EVERY),
                    Err(why) => Heard::Failed(why),
                }
            }
            Err(why) => {
                // When it is there again it is read again.
                self.read = None;
                self.wrong = Some(why.clone());
                Heard::Failed(why)
            }
        }
    }
}

fn stamp(path: &Path) -> Result<Stamp, String> {
    let data = fs::metadata(path).map_err(|error| reason(&error))?;
    Ok((data.modified().map_err(|error| reason(&error))?, data.len()))
}

fn text(path: &Path) -> Result<String, String> {
    let file = fs::File::open(path).map_err(|error| reason(&error))?;
    if !file.metadata().map_err(|error| reason(&error))?.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => crate::net::reason(error),
    }
}
