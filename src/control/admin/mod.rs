//! What operators ask this process and tell it: metrics and probes, and the API under `/v1`, over TCP and over a Unix socket.
//!
//! What always holds: nothing here touches what control or a worker owns; what is read is published by them, what is changed is
//! asked of control's loop ([`Commands`]). It cannot be used to exhaust the process: connections, heads, bodies, pages and every
//! wait have a bound. Every path and its document come from one table ([`operations`]).
//!
//! May depend on everything below `control`, and on its siblings.

mod analytics;
mod body;
mod caches;
mod change;
mod connections;
mod consumers;
mod desk;
mod explained;
mod guard;
mod headline;
mod mirrors;
mod openapi;
mod operations;
mod probes;
mod problem;
mod read;
mod recent;
mod safe;
mod serve;
mod session;
mod show;
mod splits;
mod sticky;
mod token;
pub mod view;

pub use probes::AdminState;

use super::command::Commands;
use super::keep_up;
use super::report::Report;
use crate::config::model::Admin;
use crate::net::{self, Address, Slot};
use axum::Router;
use desk::Desk;
use guard::Way;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use token::Token;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Where operators come in: bound, and not served yet.
pub struct Doors {
    tcp: Option<Slot>,
    socket: Option<(Slot, SocketFile)>,
    token: Option<Arc<Token>>,
}

/// Where they came in to the process before.
#[derive(Default)]
pub struct Inherited {
    /// The listener.
    pub tcp: Option<Slot>,
    /// The socket.
    pub socket: Option<Slot>,
}

/// What serves operators.
pub struct Served {
    doors: Doors,
    router: Router,
    tasks: Vec<(Arc<Notify>, JoinHandle<()>)>,
}

/// The file of a socket of ours.
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Doors {
    /// Binds what is configured, unless the process before has left it, and reads the token. Fails with a message for the user.
    pub fn open(admin: &Admin, left: Inherited) -> Result<Self, String> {
        let token = admin.token_file.as_deref().map(Token::open).transpose()?.map(Arc::new);
        let tcp = admin.listen.map(|listen| match left.tcp.filter(|slot| is_at(slot, listen)) {
            Some(slot) => Ok(slot),
            None => bind_tcp(listen),
        });
        let tcp = tcp.transpose()?;
        let socket = match (admin.socket.as_deref(), left.socket) {
            (Some(path), Some(slot)) if *slot.address() == Address::Unix(path.to_owned()) => {
                Some((slot, SocketFile::at(path).map_err(|error| unbound(path, &error))?))
            }
            (Some(path), _) => Some(bind_socket(path)?),
            (None, _) => None,
        };
        for slot in tcp.iter().chain(socket.as_ref().map(|(slot, _)| slot)) {
            tracing::info!(address = %slot.address(), "admin listening");
        }
        Ok(Self { tcp, socket, token })
    }

    /// What is bound.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.tcp.iter().chain(self.socket.as_ref().map(|(slot, _)| slot))
    }

    fn ways(&self) -> impl Iterator<Item = (&Slot, Way)> {
        let tcp = self.tcp.as_ref().and_then(|slot| match slot.address() {
            Address::Ip(listen) => Some((slot, Way::Tcp { listen: *listen, token: self.token.clone() })),
            Address::Unix(_) => None,
        });
        tcp.into_iter().chain(self.socket.as_ref().map(|(slot, _)| (slot, Way::Socket)))
    }
}

impl Served {
    /// Serves from now on. `look` asks for a look at the token's file.
    pub fn new(doors: Doors, report: Arc<Report>, commands: Commands, look: &Arc<Notify>) -> Self {
        if let Some(token) = &doors.token {
            let (token, look) = (token.clone(), look.clone());
            keep_up("the watch of the admin token", move || token.clone().watch(look.clone()));
        }
        let mut served = Self { doors, router: Desk::new(report, commands).router(), tasks: Vec::new() };
        served.start();
        served
    }

    /// Serves, if it does not.
    pub fn start(&mut self) {
        if !self.tasks.is_empty() {
            return;
        }
        for (slot, way) in self.doors.ways() {
            let is_socket = matches!(way, Way::Socket);
            let (router, way) = (self.router.clone(), Arc::new(way));
            let (shared, stop) = (slot.share(), Arc::new(Notify::new()));
            let told = stop.clone();
            let task = tokio::spawn(async move {
                let served = match shared {
                    Ok(slot) if is_socket => serve::socket(slot, router, way, told).await,
                    Ok(slot) => serve::tcp(slot, router, way, told).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = served {
                    tracing::error!(%error, "the admin listener ended");
                }
            });
            self.tasks.push((stop, task));
        }
    }

    /// Serves nobody else from now on; answers that are under way get a moment.
    pub fn stop(&mut self) {
        self.tasks.drain(..).for_each(|(stop, _)| stop.notify_one());
    }

    /// The listening sockets, for another process: of TCP, and the Unix one.
    pub fn descriptors(&self) -> (Option<OwnedFd>, Option<OwnedFd>) {
        let owned = |slot: &Slot| slot.descriptor().try_clone_to_owned().ok();
        (self.doors.tcp.as_ref().and_then(owned), self.doors.socket.as_ref().and_then(|(slot, _)| owned(slot)))
    }

    /// Ends, and leaves everything to the process that has taken over.
    pub fn leave(mut self) {
        self.stop();
    }

    /// Ends, and takes the socket's file away.
    pub fn close(mut self) {
        self.stop();
        if let Some((_, file)) = &self.doors.socket {
            file.remove();
        }
    }
}

/// Whether a listener is where the configuration wants one.
fn is_at(slot: &Slot, wanted: SocketAddr) -> bool {
    let Address::Ip(address) = slot.address() else { return false };
    address.ip() == wanted.ip() && (wanted.port() == 0 || wanted.port() == address.port())
}

fn bind_tcp(listen: SocketAddr) -> Result<Slot, String> {
    let address = Address::Ip(listen);
    net::probe_bind(&address, &net::Binding::default())
        .and_then(|()| net::bind(&address, false))
        .map_err(|error| format!("the admin listener cannot listen on {address}: {error}"))
}

fn bind_socket(path: &Path) -> Result<(Slot, SocketFile), String> {
    let bind = || {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)?;
        }
        Ok((net::bind_private(path)?, SocketFile::at(path)?))
    };
    bind().map_err(|error| unbound(path, &error))
}

fn unbound(path: &Path, error: &io::Error) -> String {
    let help = match error.kind() {
        io::ErrorKind::AddrInUse => "another process serves it: is Ringway running already?",
        io::ErrorKind::PermissionDenied => "the folder must be one that Ringway may write to",
        _ => "the folder must be there, or be one that can be made",
    };
    format!("the admin socket cannot listen on {}: {error}\n  help: {help}", path.display())
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), inode: std::fs::symlink_metadata(path)?.ino() })
    }

    /// Takes it away, unless another process has put its own there since.
    fn remove(&self) {
        if Self::at(&self.path).is_ok_and(|now| now.inode == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
