//! Secrets that we make ourselves, once, where no operator has: those that the cookies of logins are sealed with. They are kept in
//! `runtime.state_dir`, readable by their owner alone, so that who is logged in stays so over restarts and upgrades. Everything here blocks.

use super::kept;
use crate::config::model::{Config, RuleKind};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::path::Path;

/// Makes those that a configuration has use for and that are not there.
///
/// # Errors
/// One cannot be made or read: a message for the user.
pub fn make(config: &Config) -> Result<(), String> {
    let wanted = config.rules.iter().filter_map(|(name, rule)| match &rule.kind {
        RuleKind::Oidc(of) => Some((name, of.own_secret()?)),
        _ => None,
    });
    for (name, file) in wanted {
        if std::fs::File::open(file).is_ok() {
            continue;
        }
        one(file).map_err(|why| {
            format!(
                "rule `{name}` has no `secret_file`, and none can be kept in `{}`: {why}\n  help: name a file with a secret, as `openssl rand \
                 -hex 32` makes it, or make runtime.state_dir a folder that Ringway may write to",
                file.display()
            )
        })?;
        tracing::info!(rule = name, file = %file.display(), "a secret for the cookies of logins is made");
    }
    Ok(())
}

fn one(file: &Path) -> Result<(), String> {
    let mut bytes = [0; 48];
    rand::fill(&mut bytes).map_err(|_| "the system has no randomness".to_owned())?;
    kept::make(file, &(URL_SAFE_NO_PAD.encode(bytes) + "\n")).map_err(|error| error.to_string())?;
    std::fs::File::open(file).map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_and_is_its_owners_alone() {
        let folder =
            std::env::temp_dir().join(format!("ringway-secrets-{}-{:x}", std::process::id(), fastrand::u64(..)));
        let file = folder.join("oidc.secret");
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let file = file.clone();
                std::thread::spawn(move || one(&file).unwrap())
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        one(&file).unwrap();
        let first = std::fs::read_to_string(&file).unwrap();
        one(&file).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), first);
        assert!(first.trim_end().len() >= 64);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
