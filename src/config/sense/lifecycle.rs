//! What makes no sense of routes that come to their end.

use super::Sense;
use crate::config::model::{AfterSunset, Brownout, Deprecated, DeprecatedOperations, Route};
use crate::config::sources::{Fault, KeyPath};

/// Looks at the route at `at`.
pub(super) fn check(sense: &mut Sense<'_>, route: &Route, at: &KeyPath) {
    let here = at.child("deprecated");
    let Some(of) = &route.deprecated else { return };
    if let Some(sunset) = of.sunset
        && sunset < of.since
        && sense.is_sound(&here, "since")
        && sense.is_sound(&here, "sunset")
    {
        // RFC 9745 §4
        sense.fault(
            Fault::new(here.child("sunset"), "it ends before it is deprecated")
                .also(here.child("since"), "from then on it is")
                .help("write a `sunset` that is not before `since`"),
        );
    }
    if of.sunset.is_none() && sense.has(&here, "after_sunset") && !sense.has(&here, "sunset") {
        sense.fault(
            Fault::new(here.child("after_sunset"), "there is no sunset that something could follow")
                .help("add sunset = \"2027-05-01\", or remove `after_sunset`"),
        );
    }
    if of.operations == DeprecatedOperations::Marked && route.from_openapi.is_none() && !sense.has(at, "from_openapi") {
        sense.fault(
            Fault::new(here.child("operations"), "this route is not made of the operations of an API")
                .help("remove `operations`, or name an API by `from_openapi`"),
        );
    }
    for (index, brownout) in of.brownouts.iter().enumerate() {
        one(sense, of, brownout, &here.child("brownouts").child(index));
    }
}

fn one(sense: &mut Sense<'_>, of: &Deprecated, brownout: &Brownout, at: &KeyPath) {
    if let Some(every) = brownout.every
        && every <= brownout.length
        && sense.is_sound(at, "for")
        && sense.is_sound(at, "every")
    {
        sense.fault(
            Fault::new(at.child("every"), "it begins again before it is over")
                .also(at.child("for"), "it lasts so long")
                .help("let `every` be longer than `for`"),
        );
    }
    if brownout.share.0 <= 0.0 && sense.is_sound(at, "share") {
        sense.fault(
            Fault::new(at.child("share"), "a brown-out of 0% refuses nothing").help("write \"10%\", or remove it"),
        );
    }
    if let Some(sunset) = of.sunset.filter(|_| of.after_sunset != AfterSunset::Serve)
        && brownout.from >= sunset
        && sense.is_sound(at, "from")
    {
        sense.fault(
            Fault::new(at.child("from"), "it begins when all is over: at the sunset or later")
                .help("write a time before `sunset`"),
        );
    }
}
