//! Counters, histograms, access log, operational log. A leaf: depends on no other module.
