//! The exchanges: every typed command, in an order in which its arguments make sense.

mod collections;
mod control;
mod exchange;
mod ordered;
mod values;

pub(crate) use exchange::{Check, Exchange};

/// The chapters that the server in memory plays as well.
pub(crate) const IN_MEMORY: &[&str] = &[
    "strings",
    "keys",
    "lists",
    "waiting",
    "hashes",
    "sets",
    "sorted_sets",
    "bits_and_estimates",
    "transactions",
    "publishing",
    "connection",
];

/// All of it.
pub(crate) fn chapters() -> Vec<(&'static str, Vec<Exchange>)> {
    vec![
        ("strings", values::strings()),
        ("keys", values::about_keys()),
        ("lists", collections::lists()),
        ("waiting", collections::waiting()),
        ("hashes", collections::hashes()),
        ("sets", collections::sets()),
        ("sorted_sets", ordered::sorted_sets()),
        ("streams", ordered::streams()),
        ("geo", ordered::geo()),
        ("bits_and_estimates", values::bits_and_estimates()),
        ("scripts", control::scripts()),
        ("transactions", control::transactions()),
        ("publishing", control::publishing()),
        ("connection", control::connection()),
        ("acl", control::acl()),
        ("server", control::server()),
    ]
}
