//! Every plug of this house does what a plug has to do: one test for each case.

#[cfg(any(feature = "smol", feature = "tokio"))]
fn passes<E: glowplug_conformance::executor::Executor>() {
    if let Err(report) = glowplug_conformance::executor::check::<E>(&glowplug_conformance::Plan::from_env()) {
        panic!("{report}");
    }
}

#[cfg(feature = "tokio")]
#[test]
fn tokio() {
    passes::<glowplug_conformance::executor::Tokio>();
}

#[cfg(feature = "smol")]
#[test]
fn smol() {
    passes::<glowplug_conformance::executor::Smol>();
}
