//! What a user is told about stages, word for word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod config_folder;

use config_folder::{Folder, REST, brief, load};
use ringway::plan;

#[test]
fn what_makes_no_sense_of_stages_is_told() {
    for (text, expected) in [
        (
            "[stages.dev]\nprefix = '/dev'\n[routes.r]\npool = 'site'\nstages = ['dev', 'deb']\n",
            &["5:18 no stage is named `deb`; did you mean `dev`?"][..],
        ),
        (
            "[stages.dev]\nprefix = '/dev'\n[routes.r]\npool = 'site'\nstages = ['dev', 'dev']\n",
            &["5:18 stage `dev` is there twice; remove one of them"],
        ),
        (
            "[stages.dev]\npools = { sit = 'site', site = 'sit' }\n[routes.r]\npool = 'site'\nstages = ['dev']\n",
            &["2:17 no pool is named `sit`; did you mean `site`?", "2:32 no pool is named `sit`; did you mean `site`?"],
        ),
        (
            "[stages.dev]\nprefix = '/dev'\n[routes.r]\npool = 'site'\npaths = ['~x$']\nstages = ['dev']\n",
            &[
                "6:11 a regex of this route does not begin with `^/`, and stage `dev` has a prefix; let the regex begin with `^/`, or tell the stages apart by `hosts`",
            ],
        ),
        (
            "[stages.dev]\nprefix = '/dev'\n[routes.r]\npool = 'site'\npaths = ['/v1/', '/x/']\nstrip_prefix = '/v1'\nstages = ['dev']\n",
            &[
                "7:11 not all paths of this route begin with its `strip_prefix`, and stage `dev` has a prefix; make a route of its own of the paths that begin otherwise, or tell the stages apart by `hosts`",
            ],
        ),
        (
            "[stages.dev]\nprefix = '/dev'\n[apis.a]\nopenapi = 'a.json'\n[routes.r]\npool = 'site'\nfrom_openapi = 'a'\nstages = ['dev']\n",
            &[
                "8:11 this route goes by the paths of an API, which have no prefix as stage `dev` has; tell the stages apart by `hosts`",
            ],
        ),
    ] {
        let told = brief(&Folder::with(&[("ring.toml", &format!("{text}{REST}"))]).faults());
        assert_eq!(told, expected, "\n{text}");
    }
    let warned = load(&format!("[stages.dev]\nprefix = '/dev'\n{REST}"));
    assert!(warned.warnings.to_string().contains("nothing is served as stage `dev`"), "{}", warned.warnings);
    let unused = "[stages.dev]\nhosts = ['dev.test']\npools = { spare = 'site' }\n[routes.r]\npool = 'site'\nstages = ['dev']\n\
                  [routes.other]\npool = 'spare'\npaths = ['/o/']\n[pools.spare]\ntargets = ['127.0.0.1:2']\n";
    let warned = load(&format!("{unused}{REST}")).warnings.to_string();
    assert!(
        warned.contains("no route that is served as stage `dev` has pool `spare`, so that this replaces nothing")
            && warned.contains("ring.toml:3:19")
            && warned.contains("the only pool that they have is `site`"),
        "{warned}"
    );
    let good = "[stages.dev]\nhosts = ['dev.test']\npools = { site = 'spare' }\n[routes.r]\npool = 'site'\nstages = ['dev']\n\
                [pools.spare]\ntargets = ['127.0.0.1:2']\n";
    assert_eq!(load(&format!("{good}{REST}")).warnings.to_string(), "", "a pool of a stage is used");
}

#[test]
fn stages_that_tie_are_told_where_their_route_names_them() {
    let told = |text: &str| {
        let loaded = load(&format!("{text}{REST}"));
        let faults = plan::compile(&loaded.config, 1).err().unwrap_or_default();
        loaded.sources.report(&faults).to_string()
    };
    let both = "[stages.prod]\nhosts = ['api.test']\n[stages.dev]\nhosts = ['api.test']\n[routes.old]\npaths = ['/old/']\npool = 'site'\n\
                [routes.staged]\npaths = ['/s/']\npool = 'site'\nstages = ['dev', 'prod']\n";
    let tie = told(both);
    assert!(tie.contains(r#"routes "staged@dev" and "staged@prod" tie: both could take a request for"#), "{tie}");
    assert!(tie.contains("ring.toml:11:18\n") && tie.contains("the other one is here"), "{tie}");
    assert!(tie.contains("tell stages `dev` and `prod` apart by their `hosts`, `listeners` or `prefix`"), "{tie}");
    let one = "[stages.dev]\nhosts = ['api.test']\n[routes.old]\npaths = ['/s/']\nhosts = ['api.test']\npool = 'site'\n\
               [routes.staged]\npaths = ['/s/']\npool = 'site'\nstages = ['dev']\n";
    let tie = told(one);
    assert!(tie.contains("ring.toml:10:11\n") && tie.contains(r#"give "old" or "staged" a `priority`"#), "{tie}");
}
