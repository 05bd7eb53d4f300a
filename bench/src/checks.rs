//! What a long proof asks for, told as a list at its end.

use anyhow::{Result, ensure};

/// What must hold, and whether it did.
#[derive(Default)]
pub struct Checks(Vec<(String, bool, String)>);

impl Checks {
    /// Notes that `what` holds or not; `detail` says more where it does not.
    pub fn add(&mut self, what: &str, holds: bool, detail: String) {
        self.0.push((what.to_owned(), holds, detail));
    }

    /// Prints all of them; fails if one does not hold.
    pub fn finish(self) -> Result<()> {
        println!();
        for (what, holds, detail) in &self.0 {
            println!(
                "{} {what}{}",
                if *holds { "ok    " } else { "FAILED" },
                match detail.as_str() {
                    detail if !holds && !detail.is_empty() => format!(": {detail}"),
                    _ => String::new(),
                }
            );
        }
        let failed = self.0.iter().filter(|(_, holds, _)| !holds).count();
        ensure!(failed == 0, "{failed} of {} did not hold", self.0.len());
        Ok(())
    }
}
