//! What is known about all documents, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::BUILTIN_TENANT;
use crate::rag::Query;
use crate::rag::tables::{CollectionRow, StoredDocument, Within, label_key, scope_key};

/// The graph is made anew once there are so many times the rows it was made from.
const OUTGROWN: usize = 2;

/// A collection as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Documents in it.
    pub documents: usize,
    /// Their passages.
    pub passages: usize,
}

/// A part of a list of documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Latest first.
    pub documents: Vec<Arc<StoredDocument>>,
    /// The id to go on after; `None` at the end.
    pub next: Option<String>,
}

#[derive(Default)]
pub(super) struct Catalog {
    documents: HashMap<String, Arc<StoredDocument>>,
    /// Ids by tenant, latest last.
    order: HashMap<String, BTreeSet<(i64, String)>>,
    hashes: HashMap<(String, String, String), String>,
    /// Collections that were made by name.
    made: BTreeMap<(String, String), CollectionRow>,
    /// Collections by tenant and name, those included that documents alone made.
    collections: BTreeMap<String, BTreeMap<String, Collection>>,
    /// Documents whose passages are being written.
    pending: BTreeSet<String>,
    versions: HashMap<String, u64>,
    graph_rows: Option<usize>,
}

impl Catalog {
    pub(super) fn new(documents: Vec<StoredDocument>, collections: Vec<CollectionRow>) -> Catalog {
        let mut catalog = Catalog::default();
        for row in collections {
            catalog.add_collection(row);
        }
        for document in documents {
            catalog.add(document);
        }
        catalog
    }

    /// The document is there from now on.
    pub(super) fn add(&mut self, document: StoredDocument) {
        self.pending.remove(&document.id);
        let key = hash_key(&document);
        let place = (document.created_ms, document.id.clone());
        *self.versions.entry(document.tenant.clone()).or_default() += 1;
        self.hashes.insert(key, document.id.clone());
        let collection = self.collection(&document.tenant, &document.collection);
        collection.documents += 1;
        collection.passages += document.passages;
        let order = self.order.entry(document.tenant.clone()).or_default();
        order.insert(place);
        self.documents
            .insert(document.id.clone(), Arc::new(document));
    }

    /// The documents are gone from now on.
    pub(super) fn remove(&mut self, ids: &[String]) {
        for id in ids {
            let Some(document) = self.documents.remove(id) else {
                continue;
            };
            self.hashes.remove(&hash_key(&document));
            if let Some(order) = self.order.get_mut(&document.tenant) {
                order.remove(&(document.created_ms, id.clone()));
            }
            *self.versions.entry(document.tenant.clone()).or_default() += 1;
            let collection = self.collection(&document.tenant, &document.collection);
            collection.documents -= 1;
            collection.passages -= document.passages;
            self.forget_if_empty(&document.tenant, &document.collection);
        }
    }

    fn collection(&mut self, tenant: &str, name: &str) -> &mut Collection {
        let of_tenant = self.collections.entry(tenant.to_owned()).or_default();
        let entry = of_tenant.entry(name.to_owned());
        entry.or_insert_with(|| Collection {
            name: name.to_owned(),
            description: String::new(),
            documents: 0,
            passages: 0,
        })
    }

    /// A collection that nobody made is gone with its last document.
    fn forget_if_empty(&mut self, tenant: &str, name: &str) {
        let key = (tenant.to_owned(), name.to_owned());
        if self.collection(tenant, name).documents == 0
            && !self.made.contains_key(&key)
            && let Some(of_tenant) = self.collections.get_mut(tenant)
        {
            of_tenant.remove(name);
        }
    }

    /// Passages of these will be written before they are documents.
    pub(super) fn pend(&mut self, ids: &[String]) {
        let new = ids.iter().filter(|id| !self.documents.contains_key(*id));
        self.pending.extend(new.cloned());
    }

    /// No passages of this one are left.
    pub(super) fn drop_pending(&mut self, id: &str) {
        self.pending.remove(id);
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.documents.contains_key(id)
    }

    pub(super) fn find(&self, id: &str) -> Option<Arc<StoredDocument>> {
        self.documents.get(id).cloned()
    }

    pub(super) fn document(&self, tenant: &str, id: &str) -> Option<Arc<StoredDocument>> {
        let document = self.documents.get(id)?;
        (document.tenant == tenant).then(|| Arc::clone(document))
    }

    pub(super) fn with_hash(&self, tenant: &str, collection: &str, hash: &str) -> Option<String> {
        let key = (tenant.to_owned(), collection.to_owned(), hash.to_owned());
        self.hashes.get(&key).cloned()
    }

    pub(super) fn page(
        &self,
        tenant: &str,
        collection: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Page {
        let Some(order) = self.order.get(tenant) else {
            return Page::default();
        };
        // A document that was removed meanwhile leaves no place to go on from: the list then begins anew.
        let after = after.and_then(|id| self.document(tenant, id));
        let places: Box<dyn Iterator<Item = &(i64, String)>> = match &after {
            Some(last) => {
                let last = (last.created_ms, last.id.clone());
                Box::new(order.range(..last).rev())
            }
            None => Box::new(order.iter().rev()),
        };
        let mut documents = places
            .map(|(_, id)| Arc::clone(&self.documents[id]))
            .filter(|document| collection.is_none_or(|name| document.collection == name));
        let page: Vec<_> = documents.by_ref().take(limit).collect();
        let next = match documents.next() {
            Some(_) => page.last().map(|last| last.id.clone()),
            None => None,
        };
        Page {
            documents: page,
            next,
        }
    }

    pub(super) fn ids_of(&self, tenant: &str) -> Vec<String> {
        let order = self.order.get(tenant).into_iter().flatten();
        order.map(|(_, id)| id.clone()).collect()
    }

    pub(super) fn ids_in(&self, tenant: &str, collection: &str) -> Vec<String> {
        let ids = self.ids_of(tenant).into_iter();
        ids.filter(|id| self.documents[id].collection == collection)
            .collect()
    }

    /// All documents, in an order that stays.
    pub(super) fn all(&self) -> Vec<Arc<StoredDocument>> {
        let mut all: Vec<_> = self.documents.values().cloned().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    pub(super) fn add_collection(&mut self, row: CollectionRow) {
        let collection = self.collection(&row.tenant, &row.name);
        collection.description.clone_from(&row.description);
        let key = (row.tenant.clone(), row.name.clone());
        self.made.insert(key, row);
    }

    pub(super) fn remove_collection(&mut self, tenant: &str, name: &str) {
        self.made.remove(&(tenant.to_owned(), name.to_owned()));
        self.forget_if_empty(tenant, name);
    }

    pub(super) fn collections(&self, tenant: &str) -> Vec<Collection> {
        self.of_tenant(tenant).cloned().collect()
    }

    fn of_tenant(&self, tenant: &str) -> impl Iterator<Item = &Collection> {
        self.collections
            .get(tenant)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    pub(super) fn passages(&self) -> usize {
        let collections = self.collections.values().flat_map(BTreeMap::values);
        collections.map(|collection| collection.passages).sum()
    }

    pub(super) fn version(&self, tenant: &str) -> u64 {
        let of = |tenant: &str| self.versions.get(tenant).copied().unwrap_or(0);
        of(tenant) + of(BUILTIN_TENANT)
    }

    /// Where a query looks, and how many passages there are at most; `None` if there are none.
    pub(super) fn within(&self, query: &Query) -> Option<(Within, usize)> {
        let mut scopes = Vec::new();
        let mut passages = 0;
        for found in self.of_tenant(&query.tenant) {
            let is_asked = query.collections.is_empty() || query.collections.contains(&found.name);
            if is_asked && found.passages > 0 {
                scopes.push(scope_key(&query.tenant, &found.name));
                passages += found.passages;
            }
        }
        if query.builtin {
            for found in self.of_tenant(BUILTIN_TENANT) {
                scopes.push(scope_key(BUILTIN_TENANT, &found.name));
                passages += found.passages;
            }
        }
        let labels = query.filter.0.iter().map(|(name, labels)| {
            let keys = labels.iter().map(|label| label_key(name, label));
            keys.collect::<Vec<_>>()
        });
        let labels: Vec<_> = labels.collect();
        // A list of no values matches nothing.
        let is_empty = scopes.is_empty() || labels.iter().any(Vec::is_empty);
        let within = Within {
            scopes,
            labels,
            without: self.pending.iter().cloned().collect(),
        };
        (!is_empty).then_some((within, passages))
    }

    /// Whether the graph was made from much fewer rows than there are. What it covers when it is first looked at
    /// counts as what it was made from.
    pub(super) fn has_outgrown(&mut self, covered: Option<usize>, rows: usize) -> bool {
        self.graph_rows = self.graph_rows.or(covered);
        self.graph_rows.is_some_and(|made| rows > made * OUTGROWN)
    }

    pub(super) fn graph_of(&mut self, rows: usize) {
        self.graph_rows = Some(rows);
    }

    pub(super) fn forget_graph(&mut self) {
        self.graph_rows = None;
    }
}

fn hash_key(document: &StoredDocument) -> (String, String, String) {
    (
        document.tenant.clone(),
        document.collection.clone(),
        document.hash.clone(),
    )
}
