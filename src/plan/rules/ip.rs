//! Rules of type ip.

use super::{Compile, Does, Here, listed};
use crate::config::{model::Ip, network};
use crate::gateway::Address;
use ipnet::IpNet;
use std::sync::Arc;

impl Compile for Ip {
    fn compile(&self, here: &mut Here<'_>) -> Does {
        let mut all = |nets: &[IpNet], key: &str, count: usize| {
            let mut all = nets.to_vec();
            for place in 0..count {
                let (place, files) = (place.to_string(), here.files);
                match listed(files, &["rules", here.name, key, &place]) {
                    Ok(lines) => lines.iter().for_each(|(line, text)| match network(text) {
                        Ok(net) => all.push(net),
                        Err(why) => here.fault(&[key, &place], format!("line {line}: {}", why.what), why.help),
                    }),
                    Err(why) => here.fault(&[key, &place], why, None),
                }
            }
            all
        };
        let allow = all(&self.allow, "allow_files", self.allow_files.len());
        let deny = all(&self.deny, "deny_files", self.deny_files.len());
        // A list that has nobody in it lets nobody in.
        let is_list = !(self.allow.is_empty() && self.allow_files.is_empty());
        let rule = Arc::new(Address::new(is_list.then_some(&allow), &deny));
        Does { asked: Some(rule.clone()), keeper: Some(rule), ..Does::default() }
    }
}
