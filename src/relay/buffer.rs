//! Fixed-size buffers for what one side sent and the other cannot take yet, and their pool.
//!
//! Owns bytes, never a socket. A flow asks for a buffer only when a write fell short and gives it
//! back when it is empty, so a quiet pair owns none. The pool never lends more than it is asked
//! for and keeps only a few spare ones: the bound on all of them is two per pair.

/// One buffer, and which of its bytes still wait: those from `start` on.
#[derive(Debug)]
pub struct Buffer {
    /// Of a fixed capacity; memory beyond the bytes that it holds is never touched.
    storage: Vec<u8>,
    start: usize,
}

impl Buffer {
    /// The bytes that wait, oldest first.
    pub fn bytes(&self) -> &[u8] {
        &self.storage[self.start..]
    }

    /// Forgets the first `count` waiting bytes: they were delivered.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.bytes().len(), "consumed more than waits");
        self.start += count;
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    fn fill(&mut self, bytes: &[u8], bytes_max: usize) {
        assert!(self.is_empty(), "a lent buffer already holds bytes");
        assert!(bytes.len() <= bytes_max, "more bytes than one buffer holds");
        debug_assert!(self.storage.capacity() >= bytes_max, "filling it would take more memory");
        self.storage.extend_from_slice(bytes);
    }

    fn clear(&mut self) {
        self.storage.clear();
        self.start = 0;
    }
}

/// Lends buffers of one size.
#[derive(Debug)]
pub struct Pool {
    spare: Vec<Buffer>,
    spare_max: usize,
    buffer_bytes: usize,
    lent: usize,
}

impl Pool {
    /// A pool of buffers of `buffer_bytes` each that keeps at most `spare_max` unused ones. It
    /// allocates nothing yet.
    pub fn new(buffer_bytes: usize, spare_max: usize) -> Pool {
        assert!(buffer_bytes > 0);
        Pool { spare: Vec::new(), spare_max, buffer_bytes, lent: 0 }
    }

    /// A buffer that holds `bytes`; `None` if there is no memory for it, which costs one
    /// connection and not the process.
    pub fn lend(&mut self, bytes: &[u8]) -> Option<Buffer> {
        let mut buffer = match self.spare.pop() {
            Some(buffer) => buffer,
            None => allocate(self.buffer_bytes)?,
        };
        buffer.fill(bytes, self.buffer_bytes);
        self.lent += 1;
        Some(buffer)
    }

    /// Takes a buffer back, whatever it still holds.
    pub fn give_back(&mut self, mut buffer: Buffer) {
        assert!(self.lent > 0, "more buffers came back than were lent");
        assert!(buffer.storage.capacity() >= self.buffer_bytes, "a buffer of another pool");
        self.lent -= 1;
        buffer.clear();
        if self.spare.len() < self.spare_max {
            self.spare.push(buffer);
        }
        debug_assert!(self.spare.len() <= self.spare_max, "more spare ones than are kept");
        debug_assert!(self.spare.iter().all(Buffer::is_empty), "a spare one shows another's bytes");
    }

    /// Buffers that are out at present.
    pub fn lent(&self) -> usize {
        self.lent
    }
}

fn allocate(buffer_bytes: usize) -> Option<Buffer> {
    let mut storage = Vec::new();
    storage.try_reserve_exact(buffer_bytes).ok()?;
    Some(Buffer { storage, start: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_and_once() {
        let mut pool = Pool::new(8, 1);
        let mut buffer = pool.lend(b"abcdef").expect("memory");
        buffer.consume(2);
        assert_eq!(buffer.bytes(), b"cdef");
        buffer.consume(4);
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_buffer_that_comes_back_shows_nothing_of_its_former_bytes() {
        let mut pool = Pool::new(8, 1);
        let buffer = pool.lend(b"secret").expect("memory");
        pool.give_back(buffer);
        let buffer = pool.lend(b"x").expect("memory");
        assert_eq!(buffer.bytes(), b"x");
        assert_eq!(pool.lent(), 1);
    }

    #[test]
    fn spare_buffers_are_bounded() {
        let mut pool = Pool::new(8, 2);
        let lent: Vec<_> = (0..5).map(|_| pool.lend(b"1").expect("memory")).collect();
        lent.into_iter().for_each(|buffer| pool.give_back(buffer));
        assert_eq!((pool.lent(), pool.spare.len()), (0, 2));
    }

    #[test]
    #[should_panic(expected = "consumed more than waits")]
    fn consuming_more_than_waits_is_a_bug() {
        let mut pool = Pool::new(8, 1);
        pool.lend(b"ab").expect("memory").consume(3);
    }

    #[test]
    fn memory_that_cannot_be_had_is_not_fatal() {
        let mut pool = Pool::new(usize::MAX / 2, 0);
        // One may be had where a word has 32 bits, two nowhere.
        let first = pool.lend(b"");
        assert!(first.is_none() || pool.lend(b"").is_none());
    }
}
