//! Unix sockets. What looks at file systems, `connect` included, may hang on a dead mount, and so runs on threads of its own.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::{DialCause, DialError, within};
use crate::blocking::holding;
use crate::carried;
use crate::net::policy::Policy;
use crate::net::{Deadline, Network};

/// How many sockets are looked for at a time.
const SEEKERS: usize = 64;

/// Those who may begin to look.
static FREE: Semaphore = Semaphore::const_new(SEEKERS);

/// Opens a connection to the socket at a path, or to an abstract name: one that begins with `@` or, as in Go, with NUL.
///
/// # Errors
/// The target policy's, the system's, or the deadline.
pub async fn unix(network: &Network, deadline: Deadline, target: &[u8]) -> Result<UnixStream, DialError> {
    let (policy, owned) = (network.policy.clone(), target.to_vec());
    let dial = async {
        // The semaphore is never closed.
        let permit = FREE.acquire().await;
        let connecting = holding(permit, move || connect(&policy, &owned)).await;
        let socket = connecting.unwrap_or_else(|error| Err(failed(io::Error::other(error))))?;
        UnixStream::from_std(socket.into()).map_err(failed)
    };
    within(network, deadline, "unix", carried::text(target), None, dial).await
}

fn failed(error: io::Error) -> DialCause {
    DialCause::Io {
        call: "connect",
        error,
    }
}

/// Connects, on a thread that may wait for file systems but not for the peer.
fn connect(policy: &Policy, target: &[u8]) -> Result<Socket, DialCause> {
    let abstract_name = match target.split_first() {
        Some((b'@' | 0, name)) => Some(name),
        _ => None,
    };
    let address = match abstract_name {
        Some(name) => {
            policy
                .check_unix(Path::new(OsStr::from_bytes(&[b"@", name].concat())), None)
                .map_err(DialCause::Refused)?;
            SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat()))
        }
        None if target.contains(&0) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "paths must not contain interior null bytes",
        )),
        None => SockAddr::unix(OsStr::from_bytes(target)),
    };
    let mut address = address.map_err(failed)?;
    let mut judged = None;
    if abstract_name.is_none() && policy.judges_unix() {
        let opened = judge(policy, Path::new(OsStr::from_bytes(target)))?;
        // What was judged is what is dialled, whatever the path leads to by now.
        address = SockAddr::unix(own(&opened)).map_err(failed)?;
        judged = Some(opened);
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(|error| DialCause::Io {
        call: "socket",
        error,
    })?;
    socket.set_nonblocking(true).map_err(failed)?;
    // A socket of the file system is connected at once, or its queue is full.
    socket.connect(&address).map_err(failed)?;
    drop(judged);
    Ok(socket)
}

/// Opens what a path leads to, and asks the policy about it.
fn judge(policy: &Policy, path: &Path) -> Result<File, DialCause> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path);
    // What cannot be opened is refused all the same, if it may not be dialled.
    let real = match &opened {
        Ok(file) => Some(std::fs::read_link(own(file)).map_err(failed)?),
        Err(_) => None,
    };
    policy
        .check_unix(path, real.as_deref())
        .map_err(DialCause::Refused)?;
    opened.map_err(failed)
}

/// The path by which this process knows an open file.
fn own(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}
