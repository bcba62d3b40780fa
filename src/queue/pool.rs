//! Where nodes and pages live: in chunks, found by number, so that a lane can remember one without
//! holding on to it.
//!
//! N1  A number is given out by `make` and not again before `free` took it back.

/// Items of one chunk: what is made at once stays some tens of kilobytes.
const CHUNK_LEN: usize = 16;

/// No node.
pub(super) const NONE: u32 = u32::MAX;

/// See the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool<T> {
    chunks: Vec<Box<[T; CHUNK_LEN]>>,
    free: Vec<u32>,
}

impl<T: Default> Pool<T> {
    pub(super) fn get(&self, at: u32) -> &T {
        &self.chunks[at as usize / CHUNK_LEN][at as usize % CHUNK_LEN]
    }

    pub(super) fn get_mut(&mut self, at: u32) -> &mut T {
        &mut self.chunks[at as usize / CHUNK_LEN][at as usize % CHUNK_LEN]
    }

    /// Two different items.
    pub(super) fn get_two(&mut self, left: u32, right: u32) -> (&mut T, &mut T) {
        let (a, b) = (left as usize, right as usize);
        if a / CHUNK_LEN == b / CHUNK_LEN {
            let chunk = &mut self.chunks[a / CHUNK_LEN];
            let [a, b] = chunk.get_disjoint_mut([a % CHUNK_LEN, b % CHUNK_LEN]).expect("two items");
            return (a, b);
        }
        let chunks = self.chunks.get_disjoint_mut([a / CHUNK_LEN, b / CHUNK_LEN]);
        let [left, right] = chunks.expect("two chunks");
        (&mut left[a % CHUNK_LEN], &mut right[b % CHUNK_LEN])
    }

    /// The number of an item that nobody uses; it holds what its last user left.
    pub(super) fn make(&mut self) -> u32 {
        if let Some(at) = self.free.pop() {
            return at;
        }
        let first = u32::try_from(self.chunks.len() * CHUNK_LEN).expect("fewer nodes than entries");
        let chunk: Vec<T> = (0..CHUNK_LEN).map(|_| T::default()).collect();
        let chunk: Box<[T; CHUNK_LEN]> = chunk.into_boxed_slice().try_into().ok().expect("as long");
        self.chunks.push(chunk);
        let rest = first + 1..first + u32::try_from(CHUNK_LEN).expect("a few");
        self.free.extend(rest.rev());
        first
    }

    /// Takes a number back.
    pub(super) fn free(&mut self, at: u32) {
        self.free.push(at);
    }

    /// Gives the memory back when all numbers are back and it is more than a chunk. What items held
    /// is forgotten then.
    pub(super) fn shrink(&mut self) {
        if self.chunks.len() > 1 && self.free.len() == self.chunks.len() * CHUNK_LEN {
            *self = Self { chunks: Vec::new(), free: Vec::new() };
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.chunks.len() * size_of::<[T; CHUNK_LEN]>()
    }

    /// Items in use.
    pub(super) fn n_used(&self) -> usize {
        self.chunks.len() * CHUNK_LEN - self.free.len()
    }
}
