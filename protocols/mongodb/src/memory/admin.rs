//! Names changed, and users.

use super::auth::User;
use super::{Call, Failure, MemoryServer, Outcome, code};
use crate::bson::Document;
use crate::doc;

impl MemoryServer {
    pub(super) fn rename_collection(&mut self, call: &Call<'_>) -> Outcome {
        let name = |key: &str| {
            let bad = || Failure::new(code::BAD_VALUE, format!("{key} needs a database and a collection"));
            call.body.get_str(key).and_then(|name| name.split_once('.')).ok_or_else(bad)
        };
        let ((from_db, from), (to_db, to)) = (name("renameCollection")?, name("to")?);
        if self.collection(from_db, from).is_none() {
            return Err(Failure::new(code::NAMESPACE_NOT_FOUND, "source namespace does not exist"));
        }
        if self.collection(to_db, to).is_some() {
            if call.body.get_bool("dropTarget") != Some(true) {
                return Err(Failure::new(code::NAMESPACE_EXISTS, "target namespace exists"));
            }
            if let Some(old) = self.databases.get_mut(to_db).and_then(|collections| collections.remove(to)) {
                self.forget(&old);
            }
        }
        let moved = self.databases.get_mut(from_db).and_then(|collections| collections.remove(from));
        if let Some(collection) = moved {
            self.databases.entry(to_db.to_owned()).or_default().insert(to.to_owned(), collection);
        }
        Ok(doc! { "ok": 1.0 })
    }

    pub(super) fn create_user(&mut self, call: &Call<'_>) -> Outcome {
        let (name, password) = (call.body.get_str(call.name), call.body.get_str("pwd"));
        let (Some(name), Some(password)) = (name, password) else {
            return Err(Failure::new(code::FAILED_TO_PARSE, "a user needs a name and a password"));
        };
        if self.users.contains_key(name) {
            return Err(Failure::new(
                code::USER_EXISTS,
                format!("User \"{name}@{}\" already exists", call.database),
            ));
        }
        let user = User::new(name, password, &mut self.rng)
            .ok_or_else(|| Failure::new(code::BAD_VALUE, "the password has a forbidden character"))?;
        self.users.insert(name.to_owned(), user);
        Ok(doc! { "ok": 1.0 })
    }

    pub(super) fn drop_user(&mut self, call: &Call<'_>) -> Outcome {
        let name = call.body.get_str(call.name).unwrap_or_default();
        match self.users.remove(name) {
            Some(_) => Ok(doc! { "ok": 1.0 }),
            None => {
                Err(Failure::new(code::USER_NOT_FOUND, format!("User '{name}@{}' not found", call.database)))
            }
        }
    }

    pub(super) fn users_info(&self, call: &Call<'_>) -> Document {
        let wanted = call.body.get_str(call.name);
        let found = self.users.keys().filter(|name| wanted.is_none_or(|wanted| wanted == *name));
        let list: Vec<_> = found
            .map(|name| {
                let id = format!("{}.{name}", call.database);
                doc! { "_id": id, "user": name, "db": call.database, "roles": [] }
            })
            .collect();
        doc! { "users": list, "ok": 1.0 }
    }
}
