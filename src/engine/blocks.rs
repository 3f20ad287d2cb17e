//! Who holds which block of the key-value cache, and which token prefixes the blocks already hold.
//!
//! Blocks of finished and running answers stand in a tree, one edge per block of tokens, under a root per
//! tenant. A new prompt walks the tree and pins what it finds; blocks nobody pins stay until their memory is
//! needed, the least recently used leaf first. A block in the tree is never written again; a running
//! answer writes only blocks it owns.

use std::collections::HashMap;

use wick_models::BLOCK_TOKENS;

type NodeId = usize;

/// The blocks of one sequence, in order: first those shared through the tree, then its own.
#[derive(Debug, Default)]
pub(super) struct Table {
    root: NodeId,
    shared: Vec<NodeId>,
    ids: Vec<u32>,
}

impl Table {
    /// Block numbers in order of position.
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }
}

/// Where a new sequence starts.
#[derive(Debug)]
pub(super) struct Start {
    /// Its blocks so far.
    pub(super) table: Table,
    /// Tokens the blocks already hold.
    pub(super) cached_tokens: usize,
    /// A partly matching block to copy (from, to) before anything else.
    pub(super) copy: Option<(u32, u32)>,
}

#[derive(Debug)]
struct Node {
    parent: NodeId,
    children: Vec<NodeId>,
    /// At most [`BLOCK_TOKENS`]; only full nodes have children. Roots have none.
    tokens: Vec<u32>,
    block: u32,
    pins: usize,
    used: u64,
}

/// All blocks of one model's cache.
#[derive(Debug)]
pub(super) struct BlockCache {
    nodes: Vec<Option<Node>>,
    vacant: Vec<NodeId>,
    roots: HashMap<String, NodeId>,
    free: Vec<u32>,
    clock: u64,
}

impl BlockCache {
    /// A cache of `blocks` empty blocks.
    pub(super) fn new(blocks: u32) -> Self {
        Self {
            nodes: Vec::new(),
            vacant: Vec::new(),
            roots: HashMap::new(),
            free: (0..blocks).rev().collect(),
            clock: 0,
        }
    }

    /// Pins the longest cached prefix of `tokens`, short of the last one, which has to be evaluated anyway. `running` are
    /// tables of the same tenant and the tokens that each has evaluated: their last blocks are not in the tree yet.
    pub(super) fn start(
        &mut self,
        tenant: &str,
        tokens: &[u32],
        running: &[(&Table, &[u32])],
    ) -> Start {
        self.clock += 1;
        let root = self.root(tenant);
        let mut table = Table {
            root,
            ..Table::default()
        };
        let mut left = &tokens[..tokens.len().saturating_sub(1)];
        let mut at = root;
        while let Some(next) = self.full_child(at, left) {
            self.pin(next, &mut table);
            left = &left[BLOCK_TOKENS..];
            at = next;
        }
        let full = table.ids.len();
        let mut cached_tokens = full * BLOCK_TOKENS;
        let beside = running.iter().filter_map(|(other, known)| {
            let rest = known.strip_prefix(&tokens[..cached_tokens])?;
            let common = common(rest, left).min(BLOCK_TOKENS);
            (common > 0).then(|| (other.ids[full], common))
        });
        let beside = beside.max_by_key(|&(_, common)| common);
        let partial = self.best_partial(at, left);
        let copy = match (partial, beside) {
            (Some((node, common)), beside) if beside.is_none_or(|other| other.1 <= common) => {
                // Pinned for the moment, so that making room does not take the very block to copy.
                self.node_mut(node).pins += 1;
                let own = self.allocate();
                self.node_mut(node).pins -= 1;
                own.map(|own| (self.node(node).block, own, common))
            }
            (_, Some((block, common))) => self.allocate().map(|own| (block, own, common)),
            _ => None,
        };
        let copy = copy.map(|(from, own, common)| {
            table.ids.push(own);
            cached_tokens += common;
            (from, own)
        });
        Start {
            table,
            cached_tokens,
            copy,
        }
    }

    /// Gives `table` blocks for `tokens` tokens; false if there are none left.
    pub(super) fn grow(&mut self, table: &mut Table, tokens: usize) -> bool {
        while table.ids.len() * BLOCK_TOKENS < tokens {
            match self.allocate() {
                Some(block) => table.ids.push(block),
                None => return false,
            }
        }
        true
    }

    /// Puts the full blocks of a running sequence into the tree; `tokens` are those evaluated so far.
    pub(super) fn publish(&mut self, table: &mut Table, tokens: &[u32]) {
        self.clock += 1;
        while (table.shared.len() + 1) * BLOCK_TOKENS <= tokens.len() {
            let at = table.shared.len();
            let edge = &tokens[at * BLOCK_TOKENS..(at + 1) * BLOCK_TOKENS];
            let parent = table.shared.last().copied().unwrap_or(table.root);
            let own = table.ids[at];
            let node = match self.full_child(parent, edge) {
                Some(twin) => {
                    self.free.push(own);
                    table.ids[at] = self.node(twin).block;
                    twin
                }
                None => self.insert(parent, edge.to_vec(), own),
            };
            let clock = self.clock;
            let entry = self.node_mut(node);
            entry.pins += 1;
            entry.used = clock;
            table.shared.push(node);
        }
    }

    /// Ends a sequence: what it evaluated stays in the tree, unpinned, its last partial block too.
    pub(super) fn finish(&mut self, mut table: Table, tokens: &[u32]) {
        self.publish(&mut table, tokens);
        let full = table.shared.len();
        let tail = &tokens[full * BLOCK_TOKENS..];
        let parent = table.shared.last().copied().unwrap_or(table.root);
        if !tail.is_empty() && full < table.ids.len() && !self.covers(parent, tail) {
            let block = table.ids.remove(full);
            self.insert(parent, tail.to_vec(), block);
        }
        self.drop_table(table);
    }

    /// Ends a sequence without keeping what it evaluated since it was last published.
    pub(super) fn drop_table(&mut self, table: Table) {
        for &node in &table.shared {
            self.node_mut(node).pins -= 1;
        }
        self.free.extend(&table.ids[table.shared.len()..]);
    }

    fn root(&mut self, tenant: &str) -> NodeId {
        if let Some(&root) = self.roots.get(tenant) {
            return root;
        }
        let root = self.place(Node {
            parent: NodeId::MAX,
            children: Vec::new(),
            tokens: Vec::new(),
            block: u32::MAX,
            pins: 0,
            used: 0,
        });
        self.roots.insert(tenant.to_owned(), root);
        root
    }

    fn pin(&mut self, id: NodeId, table: &mut Table) {
        let clock = self.clock;
        let node = self.node_mut(id);
        node.pins += 1;
        node.used = clock;
        table.ids.push(node.block);
        table.shared.push(id);
    }

    /// The child of `at` that holds the first block of `tokens`.
    fn full_child(&self, at: NodeId, tokens: &[u32]) -> Option<NodeId> {
        let edge = tokens.get(..BLOCK_TOKENS)?;
        self.node(at)
            .children
            .iter()
            .copied()
            .find(|&c| self.node(c).tokens == edge)
    }

    /// The child of `at` that shares most tokens with `tokens`, and how many.
    fn best_partial(&self, at: NodeId, tokens: &[u32]) -> Option<(NodeId, usize)> {
        let children = self.node(at).children.iter();
        children
            .map(|&c| (c, common(&self.node(c).tokens, tokens)))
            .filter(|c| c.1 > 0)
            .max_by_key(|c| c.1)
    }

    /// Whether a child of `at` begins with `tokens`.
    fn covers(&self, at: NodeId, tokens: &[u32]) -> bool {
        self.node(at)
            .children
            .iter()
            .any(|&c| self.node(c).tokens.starts_with(tokens))
    }

    fn insert(&mut self, parent: NodeId, tokens: Vec<u32>, block: u32) -> NodeId {
        let used = self.clock;
        let id = self.place(Node {
            parent,
            children: Vec::new(),
            tokens,
            block,
            pins: 0,
            used,
        });
        self.node_mut(parent).children.push(id);
        id
    }

    fn place(&mut self, node: Node) -> NodeId {
        match self.vacant.pop() {
            Some(id) => {
                self.nodes[id] = Some(node);
                id
            }
            None => {
                self.nodes.push(Some(node));
                self.nodes.len() - 1
            }
        }
    }

    /// A free block, made free by dropping the least recently used leaf if need be.
    fn allocate(&mut self) -> Option<u32> {
        if let Some(block) = self.free.pop() {
            return Some(block);
        }
        let leaves = self.nodes.iter().enumerate().filter_map(|(id, node)| {
            let node = node.as_ref()?;
            let droppable = node.pins == 0 && node.children.is_empty() && node.block != u32::MAX;
            droppable.then_some((node.used, id))
        });
        let (_, id) = leaves.min()?;
        let node = self.nodes[id].take().expect("the leaf was just found");
        self.node_mut(node.parent).children.retain(|&c| c != id);
        self.vacant.push(id);
        Some(node.block)
    }

    fn node(&self, id: NodeId) -> &Node {
        self.nodes[id]
            .as_ref()
            .expect("pinned nodes and their parents stay in the tree")
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id]
            .as_mut()
            .expect("pinned nodes and their parents stay in the tree")
    }
}

/// How many tokens both begin with.
fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const B: usize = BLOCK_TOKENS;

    fn tokens(count: usize, seed: u32) -> Vec<u32> {
        (0..count as u32).map(|i| i * 31 + seed).collect()
    }

    /// Evaluates `prompt` to its end and keeps it.
    fn run(cache: &mut BlockCache, tenant: &str, prompt: &[u32]) -> usize {
        let mut start = cache.start(tenant, prompt, &[]);
        assert!(cache.grow(&mut start.table, prompt.len()));
        cache.finish(start.table, prompt);
        start.cached_tokens
    }

    #[test]
    fn an_equal_prompt_is_cached_up_to_its_last_token() {
        let mut cache = BlockCache::new(10);
        let prompt = tokens(3 * B + 5, 1);
        assert_eq!(run(&mut cache, "a", &prompt), 0);
        assert_eq!(run(&mut cache, "a", &prompt), 3 * B + 4);
    }

    #[test]
    fn a_longer_prompt_goes_on_from_the_partial_block() {
        let mut cache = BlockCache::new(10);
        let prompt = tokens(2 * B + 7, 1);
        run(&mut cache, "a", &prompt[..B + 9]);
        let start = cache.start("a", &prompt, &[]);
        assert_eq!(start.cached_tokens, B + 9);
        let (from, to) = start.copy.expect("the partial block is copied");
        assert_ne!(from, to);
        assert_eq!(start.table.ids()[1], to);
    }

    #[test]
    fn tenants_share_nothing() {
        let mut cache = BlockCache::new(10);
        let prompt = tokens(2 * B, 1);
        run(&mut cache, "a", &prompt);
        assert_eq!(run(&mut cache, "b", &prompt), 0);
    }

    #[test]
    fn running_sequences_share_published_blocks() {
        let mut cache = BlockCache::new(10);
        let prompt = tokens(2 * B + 1, 1);
        let mut first = cache.start("a", &prompt, &[]);
        assert!(cache.grow(&mut first.table, prompt.len()));
        cache.publish(&mut first.table, &prompt);
        let second = cache.start("a", &prompt, &[]);
        assert_eq!(second.cached_tokens, 2 * B);
        assert_eq!(first.table.ids()[..2], second.table.ids()[..2]);
        cache.drop_table(first.table);
        cache.drop_table(second.table);
    }

    #[test]
    fn the_last_block_of_a_running_sequence_is_copied() {
        let mut cache = BlockCache::new(10);
        let prompt = tokens(B + 9, 1);
        let mut first = cache.start("a", &prompt, &[]).table;
        assert!(cache.grow(&mut first, prompt.len()));
        cache.publish(&mut first, &prompt);
        let evaluated = [&prompt[..], &[7, 7]].concat();
        let running = [(&first, &evaluated[..])];
        let second = cache.start("a", &prompt, &running);
        assert_eq!(second.cached_tokens, B + 8);
        let (from, to) = second.copy.expect("the last block is copied");
        assert_eq!((from, to), (first.ids()[1], second.table.ids()[1]));
        assert_ne!(from, to);
        // Another beginning finds nothing there.
        let other = cache.start("a", &tokens(B + 9, 2), &running);
        assert_eq!((other.cached_tokens, other.copy), (0, None));
        for table in [first, second.table, other.table] {
            cache.drop_table(table);
        }
    }

    #[test]
    fn the_oldest_unpinned_prefix_makes_room() {
        let mut cache = BlockCache::new(4);
        let (old, young) = (tokens(2 * B, 1), tokens(2 * B, 2));
        run(&mut cache, "a", &old);
        run(&mut cache, "a", &young);
        run(&mut cache, "a", &tokens(2 * B, 3));
        assert_eq!(run(&mut cache, "a", &young), 2 * B - 1);
        assert_eq!(cache.start("a", &old, &[]).cached_tokens, 0);
    }

    #[test]
    fn pinned_blocks_are_never_taken() {
        let mut cache = BlockCache::new(3);
        let prompt = tokens(2 * B, 1);
        run(&mut cache, "a", &prompt);
        let held = cache.start("a", &tokens(2 * B + 1, 1), &[]);
        assert_eq!(held.table.ids().len(), 2);
        let mut other = cache.start("a", &tokens(2 * B, 9), &[]).table;
        assert!(!cache.grow(&mut other, 2 * B), "only one block is left");
        cache.drop_table(held.table);
        assert!(cache.grow(&mut other, 2 * B));
    }

    #[test]
    fn no_block_is_lost_or_doubled() {
        let mut cache = BlockCache::new(8);
        for round in 0..200u32 {
            let mut prompt = tokens(B * (1 + round as usize % 3), round % 5);
            prompt.truncate(prompt.len() - round as usize % 7);
            let mut start = cache.start("a", &prompt, &[]);
            assert!(cache.grow(&mut start.table, prompt.len()));
            if round % 4 == 0 {
                cache.drop_table(start.table);
            } else {
                cache.finish(start.table, &prompt);
            }
            let in_tree = cache
                .nodes
                .iter()
                .flatten()
                .map(|n| n.block)
                .filter(|&b| b != u32::MAX);
            let mut all: Vec<u32> = in_tree.chain(cache.free.iter().copied()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..8).collect::<Vec<_>>(), "after round {round}");
        }
    }
}
