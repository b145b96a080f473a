//! The requests of one connection and their answers, as far as the connection and the services behind it tell each other of them.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::seats::Seat;

/// The requests of one connection; shared by the connection and the services behind it.
#[derive(Clone, Debug)]
pub struct Requests(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    abandoned: Abandoned,
    caller: Caller,
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// Whether the latest one ends with its caller.
    ends_with_caller: AtomicBool,
    /// Whether its answer does, which has no end of its own.
    answer_ends_with_caller: AtomicBool,
    /// Answers on their way, and how often a piece of one was taken.
    answers: AtomicUsize,
    taken: AtomicUsize,
    /// Whether the latest one has a body.
    has_body: AtomicBool,
    /// Whether bytes of the next request have come.
    next_has_begun: AtomicBool,
    /// Whether bytes are left that the caller does not take.
    is_blocked: AtomicBool,
    /// What is written instead of the answer.
    refusal: Mutex<Option<String>>,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its address.
    pub address: IpAddr,
    /// The seat of the connection, which is to know whether there is a request.
    pub seat: Arc<Seat>,
    /// It has not shown the certificate that all requests but one need.
    pub lacks_certificate: bool,
}

/// What becomes of a request whose caller has closed its side. It may wait for the answer nevertheless; one that is gone
/// looks the same until something is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandoned {
    /// It ends.
    Ends,
    /// It is answered.
    IsAnswered,
}

impl Requests {
    /// None yet; `abandoned` holds for all of them but those that [end with their caller](Self::end_with_caller).
    pub fn new(abandoned: Abandoned, caller: Caller) -> Self {
        Self(Arc::new(Counts {
            abandoned,
            caller,
            begun: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            ends_with_caller: AtomicBool::new(false),
            answer_ends_with_caller: AtomicBool::new(false),
            answers: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            has_body: AtomicBool::new(false),
            next_has_begun: AtomicBool::new(true),
            is_blocked: AtomicBool::new(false),
            refusal: Mutex::default(),
        }))
    }

    /// How many have begun and ended.
    pub fn now(&self) -> (usize, usize) {
        let Counts { begun, ended, .. } = &*self.0;
        (begun.load(Ordering::Relaxed), ended.load(Ordering::Relaxed))
    }

    /// Bytes of the next request have come, or those that came belong to one that has begun.
    pub fn next_begins(&self, has_begun: bool) {
        self.0.next_has_begun.store(has_begun, Ordering::Relaxed);
    }

    /// Bytes are left that the caller does not take, or none are.
    pub fn block(&self, is_blocked: bool) {
        self.0.is_blocked.store(is_blocked, Ordering::Relaxed);
    }

    /// Whether the connection waits for the outcome of a request that ends with its caller.
    pub fn are_waiting_to_be_answered(&self) -> bool {
        self.ends_with_caller() && self.has_nothing_to_write()
    }

    /// Whether all are answered, and nothing of the next one is there.
    pub fn are_over(&self) -> bool {
        let (begun, ended) = self.now();
        begun == ended && !self.0.next_has_begun.load(Ordering::Relaxed) && self.has_nothing_to_write()
    }

    fn has_nothing_to_write(&self) -> bool {
        self.taken().is_none() && !self.0.is_blocked.load(Ordering::Relaxed)
    }

    /// How often a piece of an answer was taken; `None` when no answer is on its way.
    pub fn taken(&self) -> Option<usize> {
        (self.0.answers.load(Ordering::Relaxed) > 0).then(|| self.0.taken.load(Ordering::Relaxed))
    }

    /// An answer is on its way as long as what is returned.
    pub fn answer(&self) -> ResponseInFlight {
        self.0.answers.fetch_add(1, Ordering::Relaxed);
        ResponseInFlight(Arc::clone(&self.0))
    }

    /// Whether the request under way ends with its caller.
    pub fn ends_with_caller(&self) -> bool {
        self.0.ends_with_caller.load(Ordering::Relaxed)
    }

    /// The connection ends with these words, in the form of Go's server, which have a form of their own.
    pub fn refuse(&self, words: &str) {
        *self.0.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal(words));
    }

    /// What is to be written instead of the answer.
    pub fn refusal(&self) -> Option<String> {
        self.0
            .refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Who makes them.
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// Whether it is the connection of HTTP/2.
    pub fn are_many(&self) -> bool {
        self.0.abandoned == Abandoned::Ends
    }

    /// The request under way ends when its caller has closed its side.
    pub fn end_with_caller(&self) {
        self.0.ends_with_caller.store(true, Ordering::Relaxed);
    }

    /// As long as what is returned lasts, the request under way ends when its caller has closed its side.
    pub fn wait_for_turn(&self) -> InQueue {
        let before = self.0.ends_with_caller.swap(true, Ordering::Relaxed);
        InQueue(Arc::clone(&self.0), before)
    }

    /// The answer on its way ends when its caller has closed its side.
    pub fn end_answer_with_caller(&self) {
        self.0.answer_ends_with_caller.store(true, Ordering::Relaxed);
    }

    /// Whether the answer on its way ends with its caller.
    pub fn answer_ends_with_caller(&self) -> bool {
        self.0.answer_ends_with_caller.load(Ordering::Relaxed)
    }

    /// Whether the latest request has a body.
    pub fn had_body(&self) -> bool {
        self.0.has_body.load(Ordering::Relaxed)
    }

    /// The head of a request was read, behind which there is a body or not; the request lasts as long as what is returned.
    pub fn begin(&self, has_body: bool) -> RequestInFlight {
        self.0.has_body.store(has_body, Ordering::Relaxed);
        let ends = self.0.abandoned == Abandoned::Ends;
        self.0.ends_with_caller.store(ends, Ordering::Relaxed);
        self.0.answer_ends_with_caller.store(false, Ordering::Relaxed);
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        self.0.caller.seat.is_busy();
        RequestInFlight(Arc::clone(&self.0))
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct RequestInFlight(Arc<Counts>);

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        let ended = self.0.ended.fetch_add(1, Ordering::Relaxed) + 1;
        if ended == self.0.begun.load(Ordering::Relaxed) {
            self.0.caller.seat.is_idle();
        }
    }
}

/// A request that waits for its turn.
#[derive(Debug)]
pub struct InQueue(Arc<Counts>, bool);

impl Drop for InQueue {
    fn drop(&mut self) {
        self.0.ends_with_caller.store(self.1, Ordering::Relaxed);
    }
}

/// An answer on its way.
#[derive(Debug)]
pub struct ResponseInFlight(Arc<Counts>);

impl ResponseInFlight {
    /// The caller has taken a piece of it.
    pub fn was_taken(&self) {
        self.0.taken.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for ResponseInFlight {
    fn drop(&mut self) {
        self.0.answers.fetch_sub(1, Ordering::Relaxed);
        self.was_taken();
    }
}

/// How Go's server refuses what it cannot read: status and reason twice, without date and length.
pub fn refusal(words: &str) -> String {
    format!("HTTP/1.1 {words}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n{words}")
}

#[cfg(test)]
impl Requests {
    /// Those of the only connection that there is.
    pub fn alone(abandoned: Abandoned) -> Self {
        use futures_util::FutureExt as _;

        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let seat = super::seats::Seats::of(1).take(address, ()).now_or_never();
        let caller = Caller {
            address,
            seat: Arc::new(seat.flatten().unwrap()),
            lacks_certificate: false,
        };
        Self::new(abandoned, caller)
    }
}
