//! Schemas of bodies. A process makes each of them once.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// Schemas by their names.
pub(super) type Schemas = BTreeMap<String, RefOr<Schema>>;

/// The schema of a type of bodies, with those that it refers to. It is made when the first such body comes.
pub(super) struct Known {
    /// The type's own.
    pub schema: RefOr<Schema>,
    /// Those that it refers to, by name.
    pub all: Schemas,
}

impl Known {
    /// That of bodies of type `T`.
    pub fn of<T: ToSchema + 'static>() -> Arc<Self> {
        static BY_TYPE: RwLock<BTreeMap<TypeId, Arc<Known>>> = RwLock::new(BTreeMap::new());
        let of = TypeId::of::<T>();
        let found = BY_TYPE
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&of)
            .cloned();
        found.unwrap_or_else(|| {
            let mut all = Vec::new();
            T::schemas(&mut all);
            let made = Arc::new(Self {
                schema: T::schema(),
                all: all.into_iter().collect(),
            });
            // Another request may have made it meanwhile: both are the same.
            let mut by_type = BY_TYPE.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(by_type.entry(of).or_insert(made))
        })
    }
}
