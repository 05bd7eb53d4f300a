//! `bench chart`: a picture of each scenario's result, for the README and the documentation.

use super::{Report, layout};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;

/// Arguments of `bench chart`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Results that `bench run` wrote.
    pub file: PathBuf,
    /// Where the charts go, each as its scenario's name with `.svg`.
    #[arg(long, default_value = ".")]
    pub into: PathBuf,
}

/// Writes the charts and says which; fails if there is nothing to draw.
pub fn run(args: Args) -> Result<()> {
    let report = Report::read(&args.file)?;
    std::fs::create_dir_all(&args.into).with_context(|| args.into.display().to_string())?;
    let mut count = 0;
    for outcome in &report.outcomes {
        let name = &outcome.scenario.name;
        ensure!(!name.contains('/'), "{name:?} is no scenario's name");
        let Some(svg) = layout::draw(&report, outcome)? else {
            eprintln!("{name} has nothing to draw");
            continue;
        };
        let path = args.into.join(format!("{name}.svg"));
        std::fs::write(&path, svg).with_context(|| path.display().to_string())?;
        println!("written: {}", path.display());
        count += 1;
    }
    ensure!(count > 0, "{} holds nothing to draw", args.file.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scenario_with_figures_becomes_a_file() {
        let directory = std::env::temp_dir().join(format!("bench-chart-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (file, into) = (directory.join("results.json"), directory.join("charts"));
        let text = r#"{"date": "", "commit": "", "kernel": "", "cpu": "", "outcomes": [
            {"scenario": {"name": "idle", "title": "", "kind": "idle", "unit": "connection"},
             "peers": {"ringway": {"bytes_each": 451.2}}},
            {"scenario": {"name": "hold", "title": "", "kind": "hold", "unit": "connection"}, "peers": {}}]}"#;
        std::fs::write(&file, text).unwrap();
        run(Args { file, into: into.clone() }).unwrap();
        let written: Vec<_> = std::fs::read_dir(&into).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(written, ["idle.svg"]);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
