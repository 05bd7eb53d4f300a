//! Runs the measured process under callgrind and prints what it found.

use crate::frames::Frames;
use crate::profile::{Function, Profile, Site};
use crate::stages::{attribute, stage};
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// Requests of the shorter run; the longer one has twice as many.
const REQUESTS: usize = 2000;

const USAGE: &str = "usage: scripts/instructions [--json | --functions N | --lines N | --calls] [--log] [--trace]

  --json         {\"h1\": instructions per request}
  --functions N  also the N functions with the most instructions of their own
  --lines N      also the N lines of src/ with the most instructions, library calls included
  --calls        also who calls the allocator, memcpy and the system how often
  --log          with a JSON access log
  --trace        with traces, of which one in a hundred is sampled";

/// Measures and prints. Ends the process with 2 if it does not know an option.
pub fn run(options: &[&str]) {
    let (mut json, mut functions, mut lines, mut calls, mut with) = (false, 0, 0, false, Vec::new());
    let mut options = options.iter();
    while let Some(&option) = options.next() {
        let mut count = || options.next().and_then(|count| count.parse::<usize>().ok()).unwrap_or_else(|| refuse());
        match option {
            "--json" => json = true,
            "--functions" => functions = count(),
            "--lines" => lines = count(),
            "--calls" => calls = true,
            "--log" | "--trace" => with.push(option),
            _ => refuse(),
        }
    }
    let program = std::env::current_exe().unwrap();
    let (short, long) = (measure(&program, REQUESTS, &with), measure(&program, 2 * REQUESTS, &with));
    let profile = short.per_request(&long, REQUESTS);
    let total = profile.total();
    if json {
        println!("{{\"h1\": {total:.0}}}");
        return;
    }
    println!("instructions per request: {total:.0}");
    let frames = Frames::new(&program);
    let by_stage = |site: &Site| stage(&frames.of(site), &site.function).map(str::to_owned);
    table("stage", &attribute(&profile, by_stage), total, usize::MAX);
    if functions > 0 {
        table("function, its own", &own(&profile, &frames), total, functions);
    }
    if lines > 0 {
        let by_line = |site: &Site| {
            frames.of(site).iter().find(|frame| frame.is_ours()).map(|frame| format!("{}:{}", frame.file, frame.line))
        };
        table("line of src/, with library calls", &attribute(&profile, by_line), total, lines);
    }
    if calls {
        print_calls(&profile, &frames);
    }
}

fn refuse() -> ! {
    eprintln!("{USAGE}");
    std::process::exit(2)
}

fn measure(program: &Path, requests: usize, with: &[&str]) -> Profile {
    let out = std::env::temp_dir().join(format!("ringway-callgrind-{}-{requests}", std::process::id()));
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--dump-instr=yes", "--compress-strings=no", "--compress-pos=no", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(["proxy", &requests.to_string()])
        .args(with)
        .stdout(Stdio::null())
        .status()
        .expect("valgrind is there: scripts/instructions installs it");
    assert!(ran.success(), "the measured process failed");
    let profile = Profile::read(&out);
    std::fs::remove_file(&out).unwrap();
    profile
}

/// Instructions by function, inlined ones told apart, but Rust's own libraries counted to whom they were inlined into.
fn own(profile: &Profile, frames: &Frames) -> HashMap<String, f64> {
    let mut sums: HashMap<String, f64> = HashMap::new();
    for (site, cost) in &profile.own {
        let found = frames.of(site);
        let frame = found.iter().find(|frame| !frame.is_std()).or(found.last());
        let stage = stage(&found, &site.function).unwrap_or("shared");
        let name = frame.map_or(&site.function.name, |frame| &frame.function);
        let file =
            frame.map_or("", |frame| frame.file.rsplit_once("/registry/src/").map_or(&*frame.file, |(_, file)| file));
        *sums.entry(format!("`{name}` {file} ({stage})")).or_default() += cost;
    }
    sums
}

/// Who calls what is not ours and costs by its nature: the system, the allocator, the copying of bytes.
fn print_calls(profile: &Profile, frames: &Frames) {
    let mut callees: HashMap<&Function, HashMap<Site, f64>> = HashMap::new();
    for ((site, callee), calls) in &profile.arcs {
        if site.function.object != callee.object || callee.name.starts_with("mi_") {
            *callees.entry(callee).or_default().entry(site.clone()).or_default() += calls.count;
        }
    }
    let place = |site: &Site| {
        let found = frames.of(site);
        let frame = found.iter().find(|frame| !frame.is_std() && frame.library() != Some("mimalloc"))?;
        let file = frame.file.rsplit_once("/registry/src/").map_or(&*frame.file, |(_, file)| file);
        Some(format!("`{}` {file}:{}", frame.function, frame.line))
    };
    let mut rows = Vec::new();
    for (callee, own) in callees {
        let calls = Profile { own, arcs: profile.arcs.clone() };
        rows.extend(attribute(&calls, place).into_iter().map(|(place, count)| (&callee.name, place, count)));
    }
    rows.retain(|(.., count)| *count >= 0.05);
    rows.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    println!("\n| called | by | times |\n| --- | --- | --- |");
    for (callee, place, count) in rows {
        println!("| `{callee}` | {place} | {count:.2} |");
    }
}

fn table(what: &str, sums: &HashMap<String, f64>, total: f64, most: usize) {
    let mut rows: Vec<(&String, &f64)> = sums.iter().collect();
    rows.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
    println!("\n| {what} | instructions | share |\n| --- | --- | --- |");
    for (name, cost) in rows.into_iter().take(most).filter(|(_, cost)| cost.round() != 0.0) {
        println!("| {name} | {cost:.0} | {:.1} % |", cost / total * 100.0);
    }
}
