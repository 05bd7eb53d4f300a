//! What comes with the binary from its own arguments: manual pages and what shells complete by.

use crate::support::proxy::{Directory, ringway};
use std::process::Command;

#[test]
fn every_command_has_a_manual_page() {
    let folder = Directory::new();
    let pages = folder.path().join("man");
    let (code, _, told) = ringway(&["man", pages.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{told}");
    let page = |name: &str| std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
    let whole = page("ringway");
    assert!(whole.contains(".TH ringway 1") && whole.contains("SIGUSR2") && whole.contains("ringway.toml"), "{whole}");
    let (_, help, _) = ringway(&["--help"]);
    let commands = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let names =
        commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next().filter(|n| !n.is_empty()));
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.len() > 10 && names.contains(&"reload"), "{names:?}");
    for name in names {
        assert!(page(&format!("ringway-{name}")).contains("SYNOPSIS"), "{name}");
    }
    assert!(page("ringway-target-set").contains("weight"));
}

#[test]
fn a_folder_that_cannot_be_made_is_told() {
    let folder = Directory::new();
    let file = folder.write("file", "");
    let (code, _, told) = ringway(&["man", &format!("{file}/man")]);
    assert_eq!(code, Some(1));
    assert!(told.contains("the pages cannot be written"), "{told}");
}

#[test]
fn shells_complete_commands_and_options() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, text, _) = ringway(&["completions", shell]);
        assert_eq!(code, Some(0));
        for word in ["reload", "explain", "config"] {
            assert!(text.contains(word), "{shell} knows {word}");
        }
    }
    let (_, text, _) = ringway(&["completions", "bash"]);
    let asked = "\nCOMP_WORDS=(ringway upg)\nCOMP_CWORD=1\n_ringway ringway upg ringway\necho \"${COMPREPLY[@]}\"\n";
    let bash = Command::new("bash").args(["-c", &(text + asked)]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&bash.stdout).trim(), "upgrade");
    let (code, _, _) = ringway(&["completions", "no-shell"]);
    assert_eq!(code, Some(2));
}

#[test]
fn the_configurations_of_the_packages_are_accepted() {
    let folder = Directory::new();
    for name in ["ringway.toml", "container.toml"] {
        let text = std::fs::read_to_string(format!("{}/packaging/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        // The package makes the user, and this host need not have it.
        let file = folder.write(name, &text.replace("user = \"ringway\"", ""));
        let (code, _, told) = ringway(&["check", "-c", &file]);
        assert_eq!((code, told.as_str()), (Some(0), ""), "{name}");
    }
}
