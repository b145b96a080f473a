//! What the evaluation of an untrusted expression may make: every turn of a loop, every text and list that is put together, and every
//! text that is searched is counted. The deadline alone would let it fill the memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cel::{ExecutionError, Value};

/// Most bytes of an expression.
pub(super) const LONGEST: usize = 4 << 10;

/// Most bytes of a body.
pub(super) const BODY: usize = 1 << 20;

/// Most bytes that one evaluation makes and searches.
const MOST: usize = 16 << 20;

/// What a turn takes at least, and for each byte of the expression: every literal in it may be made again.
const TURN: usize = 256;
const TURN_BYTE: usize = 16;

/// About what a value takes in a list.
const ITEM: usize = size_of::<Value>();

/// What an evaluation has made so far.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    made: Arc<AtomicUsize>,
    turn: usize,
}

impl Meter {
    /// For an expression of this source.
    pub(super) fn of(source: &str) -> Self {
        Self {
            made: Arc::default(),
            turn: TURN + TURN_BYTE * source.len(),
        }
    }

    /// Counts a turn of a loop.
    pub(super) fn turn(&self) -> Result<(), ExecutionError> {
        self.count(self.turn)
    }

    /// Counts the value itself, not what it shares with others.
    pub(super) fn value(&self, value: &Value) -> Result<(), ExecutionError> {
        self.count(match value {
            Value::String(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::List(items) => items.len() * ITEM,
            _ => 0,
        })
    }

    fn count(&self, bytes: usize) -> Result<(), ExecutionError> {
        let before = self.made.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= MOST {
            return Ok(());
        }
        let message = "operation interrupted: the expression takes too many turns or too much memory";
        Err(ExecutionError::function_error("cost", message))
    }
}
