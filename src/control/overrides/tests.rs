use super::*;

fn config(targets: &[&str]) -> Config {
    let target =
        |text: &&str| model::Target { address: text.parse().unwrap(), weight: 1, backup: false, max_in_flight: None };
    let pool = model::Pool { targets: targets.iter().map(target).collect(), ..model::Pool::default() };
    Config { pools: [("api".to_owned(), pool)].into(), ..Config::default() }
}

fn key(target: &str) -> Key {
    Key { pool: "api".into(), target: target.into() }
}

fn targets(overrides: &Overrides, file: &Config) -> Vec<String> {
    let mut laid = file.clone();
    overrides.lay_over(&mut laid);
    laid.pools["api"].targets.iter().map(|t| format!("{}*{}", t.address, t.weight)).collect()
}

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

#[test]
fn what_lasts_until_a_restart_lies_over_what_lasts() {
    let kept = Overrides::default().with(&key(A), Some(State::Drain), Some(Some(7)), Until::Forever);
    assert_eq!(kept.mode(&key(A)), (State::Drain, Some(7)));
    let over = kept.with(&key(A), Some(State::Ready), None, Until::Restart);
    assert_eq!(over.mode(&key(A)), (State::Ready, Some(7)));
    assert!(over.keeps_the_same(&kept));
    let again = Overrides::from_text(&over.to_kept_text().unwrap()).unwrap();
    assert_eq!(again.mode(&key(A)), (State::Drain, Some(7)), "after a restart");
    let ready = over.with(&key(A), Some(State::Ready), Some(None), Until::Forever);
    assert!(ready.is_empty() && ready.revision == 3, "{ready:?}");
}

#[test]
fn targets_come_and_go_and_a_pool_is_never_emptied() {
    let file = config(&[A, B]);
    let added = Added { weight: 3, backup: false };
    let more = Overrides::default().with_added(&key("10.0.0.3:80"), added, Until::Forever);
    assert_eq!(targets(&more, &file), ["10.0.0.1:80*1", "10.0.0.2:80*1", "10.0.0.3:80*3"]);
    assert!(more.without(&key("10.0.0.3:80"), false, Until::Forever).is_empty());
    let fewer = more.without(&key(A), true, Until::Restart).without(&key("10.0.0.3:80"), false, Until::Restart);
    assert_eq!(targets(&fewer, &file), ["10.0.0.2:80*1"]);
    let none = fewer.without(&key(B), true, Until::Forever);
    assert_eq!(targets(&none, &file).len(), 1, "the last one stays");
    let changed = Overrides::default().with_added(&key(A), added, Until::Forever);
    assert_eq!(targets(&changed, &file), ["10.0.0.1:80*3", "10.0.0.2:80*1"]);
}

#[test]
fn what_names_nothing_is_kept_and_shown_to_have_no_effect() {
    let file = config(&[A]);
    let gone = Overrides::default()
        .with(&key(B), Some(State::Maintenance), None, Until::Forever)
        .with(&Key { pool: "old".into(), target: A.into() }, None, Some(Some(0)), Until::Restart)
        .with(&key(A), Some(State::Drain), None, Until::Forever)
        .with(&key(A), Some(State::Maintenance), None, Until::Restart);
    let effects: Vec<(String, bool)> =
        gone.rows(&file, &file).into_iter().map(|row| (format!("{} {}", row.target, row.to), row.effect)).collect();
    let expected =
        [("10.0.0.1:80 drain", false), ("10.0.0.1:80 maintenance", true), ("10.0.0.2:80 maintenance", false)];
    let expected = expected.map(|(text, effect)| (text.to_owned(), effect));
    assert_eq!(effects, [&expected[..], &[("10.0.0.1:80 0".to_owned(), false)]].concat());
}

#[test]
fn the_text_form_tells_everything_and_a_damaged_one_is_refused() {
    let all = Overrides::default()
        .with(&key(A), Some(State::Drain), Some(Some(5)), Until::Forever)
        .with(&key(A), None, Some(Some(6)), Until::Restart)
        .with_added(&key("unix:/run/a \"b\".sock"), Added { weight: 256, backup: true }, Until::Forever)
        .without(&key(B), true, Until::Restart);
    assert_eq!(Overrides::from_text(&all.to_text().unwrap()).unwrap(), all);
    let row = |rest: &str| format!("version = 1\nrevision = 0\n[[override]]\npool = 'a'\nuntil = 'forever'\n{rest}");
    for (text, told) in [
        ("version = 2\nrevision = 0".to_owned(), "version 2"),
        ("nonsense".to_owned(), "nonsense"),
        (row("target = '10.0.0.1'\nstate = 'drain'"), "the port is missing"),
        (row("target = '10.0.0.1:1'\nweight = 257"), "above 256"),
        (row("target = '10.0.0.1:1'\nstat = 'drain'"), "stat"),
        (row("target = '10.0.0.1:1'\nremoved = true\nadded = { weight = 1, backup = false }"), "both"),
    ] {
        let error = Overrides::from_text(&text).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn differences_are_told_by_their_keys() {
    let before = Overrides::default().with(&key(A), Some(State::Drain), None, Until::Forever);
    let after = before.with(&key(A), Some(State::Maintenance), Some(Some(2)), Until::Restart);
    let told: Vec<String> = after.changes_since(&before).iter().map(Change::to_string).collect();
    assert_eq!(
        told,
        ["~ pools.api.targets[10.0.0.1:80].state: drain → maintenance", "+ pools.api.targets[10.0.0.1:80].weight = 2",]
    );
    let told: Vec<String> = after.reset_all().changes_since(&after).iter().map(Change::to_string).collect();
    assert_eq!(told.len(), 2);
    assert!(before.changes_since(&before).is_empty());
}

#[test]
fn an_agent_is_not_heeded_for_as_long_as_is_said() {
    let off = Overrides::default().with_agent(&key(A), Heed::Off, Until::Restart);
    assert_eq!((off.heed(&key(A)), off.heed(&key(B))), (Heed::Off, Heed::On));
    assert_eq!(Overrides::from_text(&off.to_kept_text().unwrap()).unwrap().heed(&key(A)), Heed::On, "after a restart");
    let kept = off.with_agent(&key(A), Heed::Off, Until::Forever);
    assert_eq!(Overrides::from_text(&kept.to_text().unwrap()).unwrap(), kept);
    let file = config(&[A]);
    let row = kept.rows(&file, &file).remove(0);
    assert_eq!(
        (row.what.as_str(), row.from.as_deref(), row.to.as_str(), row.effect),
        ("agent", Some("on"), "off", true)
    );
    let over = kept.with_agent(&key(A), Heed::On, Until::Restart);
    assert_eq!(over.heed(&key(A)), Heed::On);
    assert!(over.with_agent(&key(A), Heed::On, Until::Forever).is_empty());
}
