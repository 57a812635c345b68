//! The resolver people call.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use glowplug_dns::resolver::{
    Answer, Hosts, LookupError, Request, Resolver as ResolverMachine, ResolverConfig,
};
use glowplug_dns::{MailExchange, Name, NameError, RecordData, RecordType, Service};

use super::lookup::{Convert, Pending};
use super::state::Shared;
use super::{Drive, Lookup, LookupIp, SocketConfig, Upstreams, system_config};
use crate::{Runtime, Spawn};

/// What a resolver spawns. State it as `R: Spawn<dns::ResolverDrive<R>>`.
pub type ResolverDrive<R> = Drive<ResolverMachine, R>;

/// A stub resolver: from names to addresses and other records, by hosts file, cache and recursive servers.
///
/// Clones share one cache, one set of sockets and one task, which ends with the last of them. Every lookup ends within
/// [`ResolverConfig::lookup_timeout`], with an answer or with an error that says why there is none. Lookups of one name share one
/// query. All of them begin when they are called, not when they are first polled; a future that is dropped cancels its lookup.
///
/// ```ignore
/// let resolver = Resolver::<Tokio>::system()?;
/// for address in resolver.lookup_ip("www.example.org").await?.iter() {
///     println!("{address}");
/// }
/// ```
pub struct Resolver<R> {
    shared: Arc<Shared<ResolverMachine>>,
    runtime: R,
}

impl<R: Runtime + Default + Spawn<ResolverDrive<R>>> Resolver<R> {
    /// A resolver that does what `/etc/resolv.conf` and `/etc/hosts` say now. [`reload`](Self::reload) reads them again.
    pub fn system() -> io::Result<Self> {
        Ok(Self::builder(R::default()).system()?.build())
    }
}

impl<R: Runtime> Resolver<R> {
    /// A resolver with settings of your own, on any runtime.
    pub fn builder(runtime: R) -> ResolverBuilder<R> {
        ResolverBuilder {
            runtime,
            config: ResolverConfig::default(),
            hosts: Hosts::default(),
            sockets: SocketConfig::default(),
            upstreams: Upstreams::default(),
        }
    }

    fn begin(&self, request: Request) -> Pending<ResolverMachine> {
        let token = self.shared.begin(Some(self.runtime.now()), request);
        Pending::new(Arc::clone(&self.shared), token)
    }

    fn records<T, N>(&self, name: N, rtype: RecordType, convert: Convert<T>) -> Lookup<T>
    where
        N: TryInto<Name>,
        NameError: From<N::Error>,
    {
        let name = name.try_into().map_err(|error| LookupError::BadName(error.into()));
        Lookup::new(name.map(|name| self.begin(Request::records(name, rtype))), convert)
    }

    /// The records of one type at one name, which is taken as it is, without the search list. Aliases are followed.
    pub fn lookup<N>(&self, name: N, rtype: RecordType) -> Lookup<Answer>
    where
        N: TryInto<Name>,
        NameError: From<N::Error>,
    {
        self.records(name, rtype, |answer, _| answer)
    }

    /// As [`lookup`](Self::lookup), but that there are no such records is an answer as well: one without records, whose `rcode` and
    /// [`soa`](Answer::soa) say why. What forwards answers wants it.
    pub fn whole<N>(&self, name: N, rtype: RecordType) -> Lookup<Answer>
    where
        N: TryInto<Name>,
        NameError: From<N::Error>,
    {
        let name = name.try_into().map_err(|error| LookupError::BadName(error.into()));
        let begun = name.map(|name| self.begin(Request::whole(name, rtype)));
        Lookup::new(begun, |answer, _| answer)
    }

    /// The addresses of a host: an address as text, `localhost`, a name of the hosts file, or a name that the search list completes.
    /// IPv4 and IPv6 are asked for side by side.
    pub fn lookup_ip(&self, host: &str) -> LookupIp {
        LookupIp::new(Ok(self.begin(Request::addresses(host))))
    }

    /// The names of an address.
    pub fn reverse(&self, address: IpAddr) -> Lookup<Vec<Name>> {
        Lookup::new(Ok(self.begin(Request::Reverse(address))), |answer, _| {
            let names = answer.records().iter().filter_map(|record| match record.data.data() {
                RecordData::Ptr(name) => Some(name.to_name()),
                _ => None,
            });
            names.collect()
        })
    }

    /// Where a service is offered, as `_imaps._tcp.example.org` (RFC 2782), in the order to try it in: by priority, and within one by
    /// weighted chance. Empty if the domain says that it decidedly does not offer it.
    pub fn srv<N>(&self, name: N) -> Lookup<Vec<Service>>
    where
        N: TryInto<Name>,
        NameError: From<N::Error>,
    {
        self.records(name, RecordType::SRV, |answer, shared| {
            Service::arrange(answer.records(), &mut shared.lock().rng)
        })
    }

    /// The hosts that take mail for a domain, the preferred first. Empty if the domain takes none (RFC 7505).
    pub fn mx<N>(&self, name: N) -> Lookup<Vec<MailExchange>>
    where
        N: TryInto<Name>,
        NameError: From<N::Error>,
    {
        self.records(name, RecordType::MX, |answer, shared| {
            MailExchange::arrange(answer.records(), &mut shared.lock().rng)
        })
    }

    /// The texts at a name; the strings of one record are put together.
    pub fn txt<N>(&self, name: N) -> Lookup<Vec<Bytes>>
    where
        N: TryInto<Name>,
        NameError: From<N::Error>,
    {
        self.records(name, RecordType::TXT, |answer, _| {
            let texts = answer.records().iter().filter_map(|record| match record.data.data() {
                RecordData::Txt(strings) => Some(strings.iter().flatten().copied().collect()),
                _ => None,
            });
            texts.collect()
        })
    }

    /// Takes another configuration and hosts file. Running lookups go on with the servers they know; the cache is emptied, since
    /// another network may have other answers.
    pub fn replace_config(&self, config: ResolverConfig, hosts: Hosts) {
        self.shared.lock().machine.replace_config(config, hosts);
    }

    /// Reads the system's files again, and does what they say from now on.
    pub fn reload(&self) -> io::Result<()> {
        let (config, hosts) = system_config()?;
        self.replace_config(config, hosts);
        Ok(())
    }

    /// Forgets all answers.
    pub fn clear_cache(&self) {
        self.shared.lock().machine.clear_cache();
    }

    /// How many answers the cache holds.
    pub fn cached(&self) -> usize {
        self.shared.lock().machine.cached()
    }

    /// A handle that may go to any thread, whatever the runtime.
    pub fn remote(&self) -> Remote {
        self.shared.add_handle();
        Remote { shared: Arc::clone(&self.shared) }
    }
}

impl<R: Clone> Clone for Resolver<R> {
    fn clone(&self) -> Self {
        self.shared.add_handle();
        Self { shared: Arc::clone(&self.shared), runtime: self.runtime.clone() }
    }
}

impl<R> Drop for Resolver<R> {
    fn drop(&mut self) {
        self.shared.drop_handle();
    }
}

impl<R> fmt::Debug for Resolver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Resolver")
            .field("cached", &state.machine.cached())
            .field("in_flight", &state.machine.in_flight())
            .finish_non_exhaustive()
    }
}

/// A resolver's handle without its runtime: it may go to any thread, whatever the runtime, since it touches nothing but memory. Its
/// lookups begin when the driver's task next runs.
pub struct Remote {
    shared: Arc<Shared<ResolverMachine>>,
}

impl Remote {
    /// The addresses of a host, as [`Resolver::lookup_ip`].
    pub fn lookup_ip(&self, host: &str) -> LookupIp {
        let token = self.shared.begin(None, Request::addresses(host));
        LookupIp::new(Ok(Pending::new(Arc::clone(&self.shared), token)))
    }
}

impl Clone for Remote {
    fn clone(&self) -> Self {
        self.shared.add_handle();
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.shared.drop_handle();
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}

/// How a resolver resolves. Made by [`Resolver::builder`].
#[must_use = "nothing is resolved before `build`"]
pub struct ResolverBuilder<R> {
    runtime: R,
    config: ResolverConfig,
    hosts: Hosts,
    sockets: SocketConfig,
    upstreams: Upstreams,
}

impl<R: Runtime> ResolverBuilder<R> {
    /// Does what `/etc/resolv.conf` and `/etc/hosts` say.
    pub fn system(mut self) -> io::Result<Self> {
        (self.config, self.hosts) = system_config()?;
        Ok(self)
    }

    /// Sets everything that is about names, servers and the cache.
    pub fn config(mut self, config: ResolverConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the names that are known without asking.
    pub fn hosts(mut self, hosts: Hosts) -> Self {
        self.hosts = hosts;
        self
    }

    /// Sets how sockets are used.
    pub fn sockets(mut self, config: SocketConfig) -> Self {
        self.sockets = config;
        self
    }

    /// Adds a server.
    pub fn server(mut self, server: SocketAddr) -> Self {
        self.config.servers.push(server);
        self
    }

    /// Adds a server that is asked under TLS (RFC 7858), usually on port 853, and never in the clear: if it cannot show that it is
    /// `name`, it is not asked.
    #[cfg(feature = "tls")]
    pub fn tls_server(mut self, server: SocketAddr, name: &str, config: &crate::tls::ClientConfig) -> Self {
        self.upstreams.add_tls(server, name, config.clone());
        self.server(server)
    }

    /// Adds a server that is asked over HTTPS (RFC 8484), usually on port 443, and in no other way. `server` is what is connected to, so
    /// that no name has to be resolved first; the URL says for whom the certificate has to be. A task is spawned that closes idle
    /// connections.
    ///
    /// ```
    /// # use glowplug_runtime::dns::{HttpsConfig, ResolverBuilder};
    /// # use glowplug_runtime::{Runtime, Spawn, http::Reaper};
    /// # fn example<R>(builder: ResolverBuilder<R>) -> Result<ResolverBuilder<R>, Box<dyn std::error::Error>>
    /// # where
    /// #     R: Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send> + Spawn<Reaper<R>> + Send + Sync,
    /// # {
    /// let quad9 = HttpsConfig::new("https://dns.quad9.net/dns-query")?;
    /// let builder = builder.https_server(([9, 9, 9, 9], 443).into(), &quad9);
    /// # Ok(builder)
    /// # }
    /// ```
    #[cfg(feature = "dns-https")]
    pub fn https_server(mut self, server: SocketAddr, config: &super::HttpsConfig) -> Self
    where
        R: Runtime<Stream: Send, Timer: Send, Connecting: Send, Resolving: Send>
            + Spawn<crate::http::Reaper<R>>
            + Send
            + Sync,
    {
        let asker = super::https::asker(self.runtime.clone(), server, config);
        self.upstreams.add_https(server, asker);
        self.server(server)
    }
}

impl<R: Runtime + Spawn<ResolverDrive<R>>> ResolverBuilder<R> {
    /// The resolver. It spawns its task; sockets open when there is something to ask.
    pub fn build(self) -> Resolver<R> {
        let runtime = self.runtime.clone();
        let (resolver, drive) = self.build_undriven();
        runtime.spawn(drive);
        resolver
    }
}

impl<R: Runtime> ResolverBuilder<R> {
    /// The resolver and its task, which whoever asks drives himself: for a few questions, where nothing is to be spawned. Lookups move
    /// only while the task is polled.
    pub fn build_undriven(self) -> (Resolver<R>, ResolverDrive<R>) {
        let mut rng = self.runtime.seed().rng();
        let machine = ResolverMachine::new(self.config, self.hosts, &rng.seed());
        let shared = Shared::new(machine, rng.seed().rng());
        let drive = Drive::new(Arc::clone(&shared), self.runtime.clone(), self.sockets, self.upstreams, rng);
        (Resolver { shared, runtime: self.runtime }, drive)
    }
}

impl<R> fmt::Debug for ResolverBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolverBuilder")
            .field("config", &self.config)
            .field("sockets", &self.sockets)
            .finish_non_exhaustive()
    }
}
