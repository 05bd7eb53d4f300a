//! Names asked of servers of DNS: one after the other, by UDP, and by TCP where an answer is truncated (RFC 7766 §5).
//!
//! Servers are asked in their order, but the one that answered last goes first. Each question to one of them is bounded in time.

use super::found::Usual;
use super::pace::Heard;
use super::records::{self, Service};
use crate::config::model::{Address, Discover, Dns, Family};
use crate::control::chain;
use futures_util::{StreamExt, stream};
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{TokioResolver, system_conf};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// Where the system says whom to ask, and what it knows itself.
const SYSTEM: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];
/// Names of SRV records that are looked up at a time.
const AT_ONCE: usize = 16;
/// The shortest TTL of a name that has none, as it stands in a file.
const UNTIMED: Duration = Duration::from_secs(24 * 3600);

/// Looks names up.
pub(super) struct Names {
    family: Family,
    usual: Usual,
    timeout: Duration,
    rounds: u32,
    /// Empty: as the system says.
    servers: Vec<SocketAddr>,
    asked: Vec<Server>,
    /// The one that answered last.
    first: AtomicUsize,
    /// How the system's files were when they were read.
    stamps: Option<Stamps>,
    /// The addresses that the names of SRV records had last.
    known: HashMap<String, Vec<IpAddr>>,
    /// What was told last of names that are left out.
    told: Option<String>,
}

struct Server {
    address: SocketAddr,
    with_edns: TokioResolver,
    without: TokioResolver,
    /// Whether it has refused EDNS (RFC 6891 §7).
    refuses_edns: AtomicBool,
}

/// How files were when they were looked at; `None`: there is none.
type Stamps = [Option<(SystemTime, u64)>; 2];

/// Why there is no address.
#[derive(Clone, Debug)]
enum Without {
    /// There is no such name, or it has none.
    Nothing(String),
    /// Nobody could say.
    Failed(String),
}

impl From<Without> for Heard {
    fn from(without: Without) -> Self {
        match without {
            Without::Nothing(what) => Self::Nothing(what),
            Without::Failed(why) => Self::Failed(why),
        }
    }
}

impl Names {
    /// As a pool has it, or all of them.
    pub(super) fn new(discover: &Discover, dns: &Dns) -> Self {
        let servers = if discover.servers.is_empty() { &dns.servers } else { &discover.servers };
        Self {
            family: discover.family,
            usual: Usual::of(discover),
            timeout: dns.timeout.0,
            rounds: dns.attempts,
            servers: servers.clone(),
            asked: Vec::new(),
            first: AtomicUsize::new(0),
            stamps: None,
            known: HashMap::new(),
            told: None,
        }
    }

    /// Asks for the addresses of a name.
    pub(super) async fn addresses(&mut self, name: &str, port: u16) -> Heard {
        if let Err(why) = self.refresh().await {
            return Heard::Failed(why);
        }
        match self.find(name).await {
            Ok((addresses, ttl)) => {
                let target = |ip| self.usual.target(Address::Ip(SocketAddr::new(ip, port)));
                Heard::Targets(addresses.into_iter().map(target).collect(), ttl)
            }
            Err(without) => without.into(),
        }
    }

    /// Asks for the SRV records of a service, and for the addresses that they lead to.
    pub(super) async fn services(&mut self, service: &str) -> Heard {
        if let Err(why) = self.refresh().await {
            return Heard::Failed(why);
        }
        let answer = match self.ask(service, RecordType::SRV).await {
            Ok(answer) => answer,
            Err(without) => return without.into(),
        };
        let mut ttl = ttl(&answer);
        let records: Vec<_> = answer
            .answers()
            .iter()
            .filter_map(|record| if let RData::SRV(srv) = &record.data { Some(srv) } else { None })
            .collect();
        if records.is_empty() {
            return Heard::Nothing("there is no SRV record".to_owned());
        }
        if records.iter().all(|srv| srv.target.is_root()) {
            return Heard::Closed("the service says that there is none".to_owned());
        }
        // What came along need not be asked for.
        let mut beside: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for record in answer.additionals() {
            if let Some(ip) = address_of(&record.data) {
                beside.entry(plain(&record.name)).or_default().push(ip);
            }
        }
        let mut found: HashMap<String, Result<Vec<IpAddr>, Without>> = HashMap::new();
        let mut missing = Vec::new();
        for srv in records.iter().filter(|srv| !srv.target.is_root()) {
            let name = plain(&srv.target);
            if found.contains_key(&name) || missing.contains(&name) {
                continue;
            }
            match beside.get(&name).and_then(|all| self.enough(all)) {
                Some(addresses) => drop(found.insert(name, Ok(addresses))),
                None => missing.push(name),
            }
        }
        let this = &*self;
        let lookups = missing.into_iter().map(|name| async move {
            let found = this.find(&name).await;
            (name, found)
        });
        let asked: Vec<_> = stream::iter(lookups).buffer_unordered(AT_ONCE).collect().await;
        for (name, result) in asked {
            ttl = result.as_ref().map_or(ttl, |(_, own)| ttl.min(*own));
            found.insert(name, result.map(|(addresses, _)| addresses));
        }
        self.remember(&mut found);
        let failed = found.iter().find_map(|(name, found)| match found {
            Err(Without::Failed(why)) => Some(format!("{name}: {why}")),
            _ => None,
        });
        let services: Vec<Service> = records
            .iter()
            .map(|srv| Service {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                addresses: found.get(&plain(&srv.target)).and_then(|of| of.clone().ok()).unwrap_or_default(),
            })
            .collect();
        let targets = records::targets(&services, self.usual);
        match (targets.is_empty(), failed) {
            (true, Some(why)) => Heard::Failed(why),
            (true, None) => Heard::Nothing("none of the names of the SRV records has an address".to_owned()),
            (false, why) => {
                if let Some(why) = why.as_ref().filter(|why| self.told.as_ref() != Some(why)) {
                    tracing::warn!(service, why, "one of a service's names cannot be looked up: it is left out");
                }
                self.told = why;
                Heard::Targets(targets, ttl)
            }
        }
    }

    /// Has the names that could not be looked up lead to where they led last.
    fn remember(&mut self, found: &mut HashMap<String, Result<Vec<IpAddr>, Without>>) {
        for (name, result) in found.iter_mut() {
            if let (Err(Without::Failed(_)), Some(last)) = (&result, self.known.get(name)) {
                *result = Ok(last.clone());
            }
        }
        let good = found.iter().filter_map(|(name, result)| Some((name.clone(), result.clone().ok()?)));
        self.known = good.collect();
    }

    /// The addresses among these that are wanted, if no more need be asked for.
    fn enough(&self, all: &[IpAddr]) -> Option<Vec<IpAddr>> {
        let of = |v4: bool| Some(all.iter().copied().filter(|ip| ip.is_ipv4() == v4).collect::<Vec<_>>());
        let some = |found: &Vec<IpAddr>| !found.is_empty();
        match self.family {
            Family::Ipv4 | Family::PreferIpv4 => of(true).filter(some),
            Family::Ipv6 | Family::PreferIpv6 => of(false).filter(some),
            Family::Both => of(true).filter(some).and_then(|v4| Some([v4, of(false).filter(some)?].concat())),
        }
    }

    /// The wanted addresses of a name, and for how long they are.
    async fn find(&self, name: &str) -> Result<(Vec<IpAddr>, Duration), Without> {
        match self.family {
            Family::Ipv4 => self.of_type(name, RecordType::A).await,
            Family::Ipv6 => self.of_type(name, RecordType::AAAA).await,
            Family::PreferIpv4 => match self.of_type(name, RecordType::A).await {
                Err(Without::Nothing(_)) => self.of_type(name, RecordType::AAAA).await,
                found => found,
            },
            Family::PreferIpv6 => match self.of_type(name, RecordType::AAAA).await {
                Err(Without::Nothing(_)) => self.of_type(name, RecordType::A).await,
                found => found,
            },
            Family::Both => {
                match (self.of_type(name, RecordType::A).await, self.of_type(name, RecordType::AAAA).await) {
                    (Ok((v4, one)), Ok((v6, other))) => Ok(([v4, v6].concat(), one.min(other))),
                    // Half of an answer would end the other half.
                    (Err(Without::Failed(why)), _) | (_, Err(Without::Failed(why))) => Err(Without::Failed(why)),
                    (Ok(found), Err(_)) | (Err(_), Ok(found)) => Ok(found),
                    (Err(nothing), Err(_)) => Err(nothing),
                }
            }
        }
    }

    async fn of_type(&self, name: &str, kind: RecordType) -> Result<(Vec<IpAddr>, Duration), Without> {
        let answer = self.ask(name, kind).await?;
        let found: Vec<IpAddr> = answer.answers().iter().filter_map(|record| address_of(&record.data)).collect();
        match found.is_empty() {
            true => Err(Without::Nothing(format!("`{name}` has no {kind} record"))),
            false => Ok((found, ttl(&answer))),
        }
    }

    /// Asks one server after the other, until one knows.
    async fn ask(&self, name: &str, kind: RecordType) -> Result<Lookup, Without> {
        let mut question = Name::from_ascii(name).map_err(|error| Without::Failed(error.to_string()))?;
        // Search domains are for names without dots.
        question.set_fqdn(name.contains('.'));
        let first = self.first.load(Ordering::Relaxed);
        let mut why = "there is no server to ask".to_owned();
        for turn in 0..self.asked.len() * self.rounds as usize {
            let place = (first + turn) % self.asked.len();
            let server = &self.asked[place];
            match server.ask(question.clone(), kind, self.timeout).await {
                Ok(answer) => {
                    self.first.store(place, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                    self.first.store(place, Ordering::Relaxed);
                    let what = match none.response_code {
                        ResponseCode::NXDomain => format!("there is no name `{name}`"),
                        _ => format!("`{name}` has no {kind} record"),
                    };
                    return Err(Without::Nothing(what));
                }
                Err(error) => why = format!("{} does not answer for `{name}`: {}", server.address, told(&error)),
            }
        }
        Err(Without::Failed(why))
    }

    /// Makes the way to the servers, anew where the system's files have changed.
    async fn refresh(&mut self) -> Result<(), String> {
        if !self.servers.is_empty() {
            if self.asked.is_empty() {
                let config = |at: &SocketAddr| ResolverConfig::from_parts(None, Vec::new(), vec![server(at)]);
                let asked = self.servers.iter().map(|at| Server::new(*at, config(at), self.timeout, false));
                self.asked = asked.collect::<Result<_, _>>()?;
            }
            return Ok(());
        }
        let known = self.stamps;
        let read = tokio::task::spawn_blocking(move || {
            let stamps = SYSTEM.map(stamp);
            (Some(stamps) != known).then(|| (stamps, system_conf::read_system_conf()))
        });
        let Some((stamps, read)) = read.await.map_err(|error| error.to_string())? else { return Ok(()) };
        // Without a server the host itself is asked (resolv.conf(5)).
        let config = read.map(|(config, _)| config).unwrap_or_else(|_| {
            let host = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
            ResolverConfig::from_parts(None, Vec::new(), vec![host])
        });
        let asked = config.name_servers().iter().map(|of| {
            let at = SocketAddr::new(of.ip, of.connections.first().map_or(53, |way| way.port));
            let (domain, search) = (config.domain().cloned(), config.search().to_vec());
            Server::new(at, ResolverConfig::from_parts(domain, search, vec![of.clone()]), self.timeout, true)
        });
        self.asked = asked.collect::<Result<_, _>>()?;
        self.stamps = Some(stamps);
        Ok(())
    }
}

impl Server {
    fn new(address: SocketAddr, config: ResolverConfig, timeout: Duration, hosts: bool) -> Result<Self, String> {
        let resolver = |edns: bool| {
            let mut builder = TokioResolver::builder_with_config(config.clone(), TokioRuntimeProvider::default());
            let options = builder.options_mut();
            options.timeout = timeout;
            // It is asked again here, and one answer is kept here.
            (options.attempts, options.cache_size) = (0, 0);
            options.edns0 = edns;
            options.use_hosts_file = if hosts { ResolveHosts::Always } else { ResolveHosts::Never };
            builder.build().map_err(|error| format!("names cannot be looked up: {}", chain(&error)))
        };
        let (with_edns, without) = (resolver(true)?, resolver(false)?);
        Ok(Self { address, with_edns, without, refuses_edns: AtomicBool::new(false) })
    }

    async fn ask(&self, name: Name, kind: RecordType, timeout: Duration) -> Result<Lookup, NetError> {
        // A truncated answer is asked for once more.
        let bounded = |resolver: &TokioResolver, name: Name| {
            // What it may still hold is what is asked for anew.
            resolver.clear_cache();
            let lookup = resolver.clone();
            async move {
                let lookup = async move { lookup.lookup(name, kind).await };
                tokio::time::timeout(timeout * 2, lookup).await.unwrap_or(Err(NetError::Timeout))
            }
        };
        if !self.refuses_edns.load(Ordering::Relaxed) {
            match bounded(&self.with_edns, name.clone()).await {
                Err(NetError::Dns(DnsError::ResponseCode(ResponseCode::FormErr | ResponseCode::NotImp))) => {}
                answer => return answer,
            }
        }
        let answer = bounded(&self.without, name).await;
        if answer.is_ok() {
            self.refuses_edns.store(true, Ordering::Relaxed);
        }
        answer
    }
}

fn server(at: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(at.ip());
    server.connections.iter_mut().for_each(|way| way.port = at.port());
    server
}

fn address_of(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(ip) => Some(IpAddr::V4(ip.0)),
        RData::AAAA(ip) => Some(IpAddr::V6(ip.0)),
        _ => None,
    }
}

/// For how long an answer is: as long as the record that ends first.
fn ttl(answer: &Lookup) -> Duration {
    let shortest = answer.answers().iter().map(|record| record.ttl).min();
    shortest.map_or(UNTIMED, |seconds| Duration::from_secs(seconds.into()))
}

/// A name as it is compared, without the dot at its end.
fn plain(name: &Name) -> String {
    name.to_lowercase().to_ascii().trim_end_matches('.').to_owned()
}

fn told(error: &NetError) -> String {
    match error {
        NetError::Timeout => "no answer in time".to_owned(),
        NetError::Truncated => "the answer is truncated, by TCP as well".to_owned(),
        NetError::Dns(DnsError::ResponseCode(code)) => code.to_string(),
        error => chain(error),
    }
}

fn stamp(path: impl AsRef<Path>) -> Option<(SystemTime, u64)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}
