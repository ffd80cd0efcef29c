//! Fetching what other systems tell: lists in a folder, and a FHIR R4 server that is read at intervals. Owns how formats
//! become records and how far a pull has come; what a record means is `clinic::feeds`'. Never logs what a record holds.
//! May import `clinic`, `domain`, and the reading half of `fhir`.

mod folder;
mod pull;
mod resource;
mod sheet;

pub use folder::{FolderSettings, read_folder};
pub use pull::{PullSettings, read_fhir};
pub use sheet::{FILE_MAX_BYTES, NotAList, kind_of_file, read_sheet};
