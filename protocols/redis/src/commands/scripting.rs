//! Scripts and functions that run in the server. What they answer is a [`Reply`], or what [`Typed::returning`] asks for.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::{Arg, Command, Reply, Typed};

/// `EVAL`: runs a script.
pub fn eval(
    script: impl Arg,
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    args: impl IntoIterator<Item = impl Arg>,
) -> Typed<Reply> {
    Typed::new(Command::new("EVAL").arg(script).counted(keys).args(args))
}

/// `EVAL_RO`: runs a script that changes nothing.
pub fn eval_ro(
    script: impl Arg,
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    args: impl IntoIterator<Item = impl Arg>,
) -> Typed<Reply> {
    Typed::new(Command::new("EVAL_RO").arg(script).counted(keys).args(args).read_only())
}

/// `EVALSHA`: runs a script that the server knows already; the error's code is `NOSCRIPT` where it does not.
pub fn evalsha(
    sha1: impl Arg,
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    args: impl IntoIterator<Item = impl Arg>,
) -> Typed<Reply> {
    Typed::new(Command::new("EVALSHA").arg(sha1).counted(keys).args(args))
}

/// `EVALSHA_RO`: as [`evalsha`], for one that changes nothing.
pub fn evalsha_ro(
    sha1: impl Arg,
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    args: impl IntoIterator<Item = impl Arg>,
) -> Typed<Reply> {
    Typed::new(Command::new("EVALSHA_RO").arg(sha1).counted(keys).args(args).read_only())
}

/// `SCRIPT LOAD`: its SHA-1, in hexadecimal.
pub fn script_load(script: impl Arg) -> Typed<String> {
    Typed::new(Command::new("SCRIPT").arg("LOAD").arg(script))
}

/// `SCRIPT EXISTS`: whether the server knows each.
pub fn script_exists(sha1s: impl IntoIterator<Item = impl Arg>) -> Typed<Vec<bool>> {
    Typed::new(Command::new("SCRIPT").arg("EXISTS").args(sha1s).read_only())
}

/// `SCRIPT FLUSH`: forgets all scripts.
pub fn script_flush() -> Typed<()> {
    Typed::new(Command::new("SCRIPT").arg("FLUSH"))
}

/// `SCRIPT KILL`: ends the script that runs, if it has changed nothing yet.
pub fn script_kill() -> Typed<()> {
    Typed::new(Command::new("SCRIPT").arg("KILL"))
}

/// `SCRIPT SHOW` (Valkey 8.0): a script's text.
pub fn script_show(sha1: impl Arg) -> Typed<String> {
    Typed::new(Command::new("SCRIPT").arg("SHOW").arg(sha1).read_only())
}

/// `SCRIPT DEBUG`: `YES`, `SYNC` or `NO`.
pub fn script_debug(mode: impl Arg) -> Typed<()> {
    Typed::new(Command::new("SCRIPT").arg("DEBUG").arg(mode))
}

/// `SCRIPT HELP`: the server's own help.
pub fn script_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("SCRIPT").arg("HELP").read_only())
}

/// `FCALL`: calls a function.
pub fn fcall(
    function: impl Arg,
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    args: impl IntoIterator<Item = impl Arg>,
) -> Typed<Reply> {
    Typed::new(Command::new("FCALL").arg(function).counted(keys).args(args))
}

/// `FCALL_RO`: calls a function that changes nothing.
pub fn fcall_ro(
    function: impl Arg,
    keys: impl IntoIterator<Item = impl Arg, IntoIter: ExactSizeIterator>,
    args: impl IntoIterator<Item = impl Arg>,
) -> Typed<Reply> {
    Typed::new(Command::new("FCALL_RO").arg(function).counted(keys).args(args).read_only())
}

/// `FUNCTION LOAD`: the library's name.
pub fn function_load(replace: bool, code: impl Arg) -> Typed<String> {
    Typed::new(Command::new("FUNCTION").arg("LOAD").word_if(replace, "REPLACE").arg(code))
}

/// `FUNCTION DELETE`: forgets a library.
pub fn function_delete(library: impl Arg) -> Typed<()> {
    Typed::new(Command::new("FUNCTION").arg("DELETE").arg(library))
}

/// `FUNCTION DUMP`: all libraries, in the server's own form.
pub fn function_dump() -> Typed<Bytes> {
    Typed::new(Command::new("FUNCTION").arg("DUMP").read_only())
}

/// `FUNCTION RESTORE`: puts back what `FUNCTION DUMP` gave.
pub fn function_restore(dumped: impl Arg) -> Typed<()> {
    Typed::new(Command::new("FUNCTION").arg("RESTORE").arg(dumped))
}

/// `FUNCTION FLUSH`: forgets all libraries.
pub fn function_flush() -> Typed<()> {
    Typed::new(Command::new("FUNCTION").arg("FLUSH"))
}

/// `FUNCTION KILL`: ends the function that runs, if it has changed nothing yet.
pub fn function_kill() -> Typed<()> {
    Typed::new(Command::new("FUNCTION").arg("KILL"))
}

/// `FUNCTION LIST`: what there is.
pub fn function_list() -> Typed<Vec<BTreeMap<String, Reply>>> {
    Typed::new(Command::new("FUNCTION").arg("LIST").read_only())
}

/// `FUNCTION STATS`: what runs, and with which engines.
pub fn function_stats() -> Typed<BTreeMap<String, Reply>> {
    Typed::new(Command::new("FUNCTION").arg("STATS").read_only())
}

/// `FUNCTION HELP`: the server's own help.
pub fn function_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("FUNCTION").arg("HELP").read_only())
}
