//! Who may do what.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{Arg, Command, Reply, Typed};

/// `ACL CAT`: all categories.
pub fn acl_cat() -> Typed<Vec<String>> {
    Typed::new(Command::new("ACL").arg("CAT").read_only())
}

/// `ACL CAT`: the commands of a category.
pub fn acl_cat_of(category: impl Arg) -> Typed<Vec<String>> {
    Typed::new(Command::new("ACL").arg("CAT").arg(category).read_only())
}

/// `ACL DELUSER`: how many there were.
pub fn acl_deluser(users: impl IntoIterator<Item = impl Arg>) -> Typed<u64> {
    Typed::new(Command::new("ACL").arg("DELUSER").args(users))
}

/// `ACL DRYRUN`: `OK`, or why that user may not run the command.
pub fn acl_dryrun(
    user: impl Arg,
    command: impl Arg,
    args: impl IntoIterator<Item = impl Arg>,
) -> Typed<String> {
    Typed::new(Command::new("ACL").arg("DRYRUN").arg(user).arg(command).args(args).read_only())
}

/// `ACL GENPASS`: a password that nobody guesses.
pub fn acl_genpass(bits: Option<u32>) -> Typed<String> {
    Typed::new(Command::new("ACL").arg("GENPASS").args(bits).read_only())
}

/// `ACL GETUSER`: a user's rules.
pub fn acl_getuser(user: impl Arg) -> Typed<Option<BTreeMap<String, Reply>>> {
    Typed::new(Command::new("ACL").arg("GETUSER").arg(user).read_only())
}

/// `ACL LIST`: all users' rules, a line each.
pub fn acl_list() -> Typed<Vec<String>> {
    Typed::new(Command::new("ACL").arg("LIST").read_only())
}

/// `ACL LOAD`: reads the rules' file.
pub fn acl_load() -> Typed<()> {
    Typed::new(Command::new("ACL").arg("LOAD"))
}

/// `ACL LOG`: what was refused lately.
pub fn acl_log(count: Option<u64>) -> Typed<Vec<BTreeMap<String, Reply>>> {
    Typed::new(Command::new("ACL").arg("LOG").args(count).read_only())
}

/// `ACL LOG RESET`: forgets what was refused.
pub fn acl_log_reset() -> Typed<()> {
    Typed::new(Command::new("ACL").arg("LOG").arg("RESET"))
}

/// `ACL SAVE`: writes the rules' file.
pub fn acl_save() -> Typed<()> {
    Typed::new(Command::new("ACL").arg("SAVE"))
}

/// `ACL SETUSER`: makes or changes a user.
pub fn acl_setuser(user: impl Arg, rules: impl IntoIterator<Item = impl Arg>) -> Typed<()> {
    Typed::new(Command::new("ACL").arg("SETUSER").arg(user).args(rules))
}

/// `ACL USERS`: all users.
pub fn acl_users() -> Typed<Vec<String>> {
    Typed::new(Command::new("ACL").arg("USERS").read_only())
}

/// `ACL WHOAMI`: the user of this connection.
pub fn acl_whoami() -> Typed<String> {
    Typed::new(Command::new("ACL").arg("WHOAMI").read_only())
}

/// `ACL HELP`: the server's own help.
pub fn acl_help() -> Typed<Vec<String>> {
    Typed::new(Command::new("ACL").arg("HELP").read_only())
}
