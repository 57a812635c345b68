//! Other people's data: the `.proto` files, the table of codes, and exchanges recorded with a real node.
//!
//! They are found by the environment variable `GLOWPLUG_VECTORS`, a folder that holds `vectors/` and `captures/`.

mod captures;
mod client;
mod errors;
#[cfg(feature = "memory")]
mod node;
mod peculiarities;
mod proto;
mod server;

use std::path::PathBuf;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let Some(root) = std::env::var_os("GLOWPLUG_VECTORS").map(PathBuf::from) else {
        let reason = "GLOWPLUG_VECTORS is not set";
        let skipped = ["codes", "declarations", "captures"]
            .map(|name| Trial::test(name, || Ok(())).with_kind(reason).with_ignored_flag(true));
        libtest_mimic::run(&arguments, skipped.into()).exit();
    };
    let proto = root.join("vectors/riak/riak_pb");
    let mut trials = proto::trials(&proto);
    trials.extend(captures::trials(&root.join("captures/riak")));
    trials.extend(errors::trials(&root.join("captures/riak")));
    trials.extend(peculiarities::trials(&root.join("captures/riak")));
    #[cfg(feature = "memory")]
    trials.extend(node::trials(&root.join("captures/riak")));
    libtest_mimic::run(&arguments, trials).exit();
}
