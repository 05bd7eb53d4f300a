//! Rules of type basic.

use super::{Compile, Does, Here, listed};
use crate::config::model;
use crate::gateway::password::Users;
use crate::gateway::{self, Consumer, Place};
use std::sync::Arc;

impl Compile for model::Basic {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let files = here.files;
        let lines = match listed(files, &["rules", here.name, "users_file"]) {
            Ok(lines) => lines,
            Err(why) => {
                here.fault(&["users_file"], why, None);
                return Does::default();
            }
        };
        let consumer = |name: &str| match here.people.names.get(name) {
            Some(consumer) => consumer.clone(),
            None => Arc::new(Consumer::new(name)),
        };
        match Users::read(lines.into_iter(), consumer) {
            Ok(users) => {
                let known = here.lasting.passwords.clone().unwrap_or_default();
                let rule = gateway::Basic::new(here.index, &self.realm, users, known, self.remember.0);
                let credentials = vec![Place::Header("authorization".into())];
                Does { identifies: true, credentials, ..Does::asked(rule) }
            }
            Err(faults) => {
                let help = "make a line by: htpasswd -nB NAME";
                for (line, what) in faults {
                    here.fault(&["users_file"], format!("line {line}: {what}"), Some(help.to_owned()));
                }
                Does::default()
            }
        }
    }
}
