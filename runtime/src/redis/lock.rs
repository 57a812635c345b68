//! A lock that many processes share.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use glowplug_core::{Backoff, BackoffConfig};
use glowplug_redis::commands::{self, Expiry, SetOptions};
use glowplug_redis::{CommandsMut as _, Reply, Script, ScriptCall, Transaction};

use super::{Client, Error};
use crate::Runtime;
use crate::time::sleep_until;

impl<R: Runtime> Client<R> {
    /// Takes the lock `name` for `time`, or not if somebody has it (`SET NX PX`).
    ///
    /// It ends by itself after `time`, whatever its holder does meanwhile: hold it for less, or [extend](Lock::extend) it. On one server only;
    /// a lock must guard nothing that a second holder could spoil for good.
    ///
    /// Dropping the future: the lock may be taken, and ends after `time`.
    pub async fn try_lock(
        &self,
        name: impl Into<Bytes>,
        time: Duration,
    ) -> Result<Option<Lock<'_, R>>, Error> {
        let name = name.into();
        let mut random = [0; 16];
        self.connection.runtime().fill_random(&mut random);
        let mut holder = String::with_capacity(32);
        for byte in random {
            // Writing into a String cannot fail.
            let _ = write!(holder, "{byte:02x}");
        }
        let options = SetOptions { if_exists: Some(false), expiry: Some(Expiry::After(time)) };
        let taken = self.run(commands::set_with(&name, &holder, options)).await?;
        Ok(taken.then_some(Lock { client: self, name, holder }))
    }

    /// Takes the lock `name` for `time`, and tries again for as long as `patience` says when somebody has it; `None` when the patience is
    /// used up.
    ///
    /// Dropping the future: as for [`try_lock`](Self::try_lock).
    pub async fn lock(
        &self,
        name: impl Into<Bytes>,
        time: Duration,
        patience: Duration,
    ) -> Result<Option<Lock<'_, R>>, Error> {
        let name = name.into();
        let runtime = self.connection.runtime();
        let end = runtime.now() + patience;
        let (first, max) = (Duration::from_millis(5), Duration::from_millis(500));
        let config = BackoffConfig { first, max, ..BackoffConfig::default() };
        let mut backoff = Backoff::new(config, &runtime.seed());
        loop {
            if let Some(lock) = self.try_lock(name.clone(), time).await? {
                return Ok(Some(lock));
            }
            let now = runtime.now();
            match backoff.failed(now) {
                Some(at) if now < end => sleep_until(runtime, at.min(end)).await,
                _ => return Ok(None),
            }
        }
    }

    /// Calls a script by its hash, and in full if the server does not know it yet.
    ///
    /// ```no_run
    /// use glowplug_redis::Script;
    /// # use glowplug_runtime::{Runtime, redis::{Client, Error}};
    /// # async fn double<R: Runtime>(client: &Client<R>) -> Result<(), Error> {
    /// let double = Script::new("return 2 * redis.call('GET', KEYS[1])"); // once
    /// let doubled: i64 = client.script(double.call(["price"], [""; 0]).returning()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Dropping the future: the script may still run.
    pub async fn script<T>(&self, call: ScriptCall<T>) -> Result<T, Error> {
        match self.run(call.by_hash()).await {
            Err(error) if error.server_error().is_some_and(ScriptCall::<T>::is_unknown) => {
                self.run(call.in_full()).await
            }
            answered => answered,
        }
    }
}

/// A lock that is held. Made by [`Client::try_lock`] and [`Client::lock`].
///
/// Dropping it does not release it: nothing is sent without somebody to wait for the answer. It ends by itself.
#[must_use = "a lock that is not released is held until it ends by itself"]
pub struct Lock<'c, R: Runtime> {
    client: &'c Client<R>,
    name: Bytes,
    holder: String,
}

impl<R: Runtime> Lock<'_, R> {
    /// Holds the lock for `time` from now on. False if it had ended, and somebody else may have it.
    pub async fn extend(&self, time: Duration) -> Result<bool, Error> {
        let milliseconds = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let call = Script::extend_lock().call([&self.name], [self.holder.clone(), milliseconds.to_string()]);
        self.if_held(call, |transaction, name| {
            transaction.pexpire(name, milliseconds);
        })
        .await
    }

    /// Gives the lock back. False if it had ended, and somebody else may have it.
    pub async fn release(self) -> Result<bool, Error> {
        self.if_held(Script::release_lock().call([&self.name], [&self.holder]), |transaction, name| {
            transaction.del([name]);
        })
        .await
    }

    /// The value by which this holder is known: 32 hexadecimal digits.
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// Acts only if the lock is still this one's, in one step: by a script, or where the server has none, by a transaction.
    async fn if_held(
        &self,
        call: ScriptCall<Reply>,
        act: impl Fn(&mut Transaction, &Bytes),
    ) -> Result<bool, Error> {
        match self.client.script(call.returning::<bool>()).await {
            Err(error) if error.server_error().is_some_and(has_no_scripts) => self.by_transaction(act).await,
            answered => answered,
        }
    }

    async fn by_transaction(&self, act: impl Fn(&mut Transaction, &Bytes)) -> Result<bool, Error> {
        let mut own = self.client.dedicated().await?;
        own.watch([&self.name]).await?;
        if own.get(&self.name).await?.as_deref() != Some(self.holder.as_bytes()) {
            own.unwatch().await?;
            return Ok(false);
        }
        let mut transaction = Transaction::new();
        act(&mut transaction, &self.name);
        // If it changed meanwhile, it had ended.
        Ok(own.transaction(transaction).await?.is_some())
    }
}

/// A server that was built or told to run no scripts.
fn has_no_scripts(error: &glowplug_redis::ServerError) -> bool {
    error.code() == "NOPERM" || error.message().to_ascii_lowercase().starts_with("unknown command")
}

impl<R: Runtime> fmt::Debug for Lock<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("name", &self.name).finish_non_exhaustive()
    }
}
