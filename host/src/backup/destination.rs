//! Where artifacts go: a folder, or standard output. Names are claimed before anything in the guest is touched.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::{At, Cause, Failure};
use crate::run::log::RunLog;
use crate::step::Step;
use image::artifact::{ArtifactError, Partial, Stream, Target};
use lvm::LvName;

/// Where artifacts and receipt go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Into a folder: `NAME-LV.img.zst` for each disk, and `NAME.json`.
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Common to all names of one backup.
        name: String,
    },
    /// The one image to standard output; the receipt to a file.
    Stdout {
        /// `NAME.json`, in full.
        receipt: Option<PathBuf>,
    },
}

/// The files of one backup in the making. Dropped unpublished, they are removed.
#[derive(Debug)]
pub struct Output {
    images: Vec<Image>,
    receipt: Option<Partial>,
}

/// One disk's artifact in the making.
#[derive(Debug)]
pub enum Image {
    /// A file that is not yet named.
    File(Partial),
    /// Standard output.
    Stream(Stream),
}

/// The names of one backup, free when they were looked at.
struct Names {
    images: Vec<ImageName>,
    receipt: Option<Target>,
}

enum ImageName {
    File(Target),
    Stdout,
}

impl Output {
    /// Creates every file under its temporary name.
    ///
    /// # Errors
    /// Where a name is taken, or the folder is missing or not writable: nothing is left behind then.
    pub async fn create(destination: &Destination, disks: &[LvName], log: &RunLog) -> Result<Self, Failure> {
        let names = Names::of(destination, disks).at(Step::Output)?;
        let takes = json!({ "partial": names.partial_paths() });
        log.take(Step::Output, takes, async { names.create() }, |_| Value::Null).await
    }

    /// The artifacts, in the order of the disks.
    pub fn images(&mut self) -> &mut [Image] {
        &mut self.images
    }

    /// What the images will be called; `-` is standard output.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let name = |image: &Image| match image {
            Image::File(partial) => file_name(partial.target().path()),
            Image::Stream(_) => "-".to_owned(),
        };
        self.images.iter().map(name).collect()
    }

    /// Gives every file its name, the receipt last: where there is a receipt, there is a whole artifact.
    ///
    /// # Errors
    /// Where a file cannot be synced or named. Files that were named by then stay, without a receipt; one that does not fit
    /// beside the images is noticed before any is named.
    pub async fn publish(self, receipt: &impl Serialize, log: &RunLog) -> Result<(), Failure> {
        let publishing = async {
            let mut file = self.receipt;
            if let Some(file) = &mut file {
                let text = serde_json::to_vec_pretty(receipt).map_err(std::io::Error::from);
                let written = text.and_then(|text| file.write_all(&text)).and_then(|()| file.write_all(b"\n"));
                let path = file.target().path().to_owned();
                written.map_err(|source| ArtifactError::Io { step: "write", path, source })?;
            }
            for image in self.images {
                if let Image::File(partial) = image {
                    partial.finish()?;
                }
            }
            file.map(Partial::finish).transpose().map(drop)
        };
        log.release(Step::Publish, publishing, |()| Value::Null).await
    }
}

impl Names {
    fn of(destination: &Destination, disks: &[LvName]) -> Result<Self, Cause> {
        match destination {
            Destination::Folder { folder, name } => Ok(Self {
                images: disks
                    .iter()
                    .map(|disk| Target::new(folder, &image_name(name, disk, disks)).map(ImageName::File))
                    .collect::<Result<_, _>>()?,
                receipt: Some(Target::new(folder, &format!("{name}.json"))?),
            }),
            Destination::Stdout { .. } if disks.len() != 1 => Err(Cause::usage(
                format!("standard output takes the image of one disk, and {} are named", disks.len()),
                "write to a folder with --to, or back up one disk",
            )),
            Destination::Stdout { receipt } => {
                let folder = |path: &Path| match path.parent() {
                    Some(parent) if parent != Path::new("") => parent.to_owned(),
                    _ => PathBuf::from("."),
                };
                let target = |path: &PathBuf| Target::new(&folder(path), &file_name(path));
                Ok(Self { images: vec![ImageName::Stdout], receipt: receipt.as_ref().map(target).transpose()? })
            }
        }
    }

    fn partial_paths(&self) -> Vec<&Path> {
        let images = self.images.iter().filter_map(|name| match name {
            ImageName::File(target) => Some(target),
            ImageName::Stdout => None,
        });
        images.chain(&self.receipt).map(Target::partial_path).collect()
    }

    fn create(self) -> Result<Output, ArtifactError> {
        let image = |name| match name {
            ImageName::File(target) => target.create().map(Image::File),
            ImageName::Stdout => Stream::stdout().map(Image::Stream),
        };
        let images = self.images.into_iter().map(image).collect::<Result<_, _>>()?;
        Ok(Output { images, receipt: self.receipt.map(Target::create).transpose()? })
    }
}

/// `NAME-LV.img.zst`; with the group too where two disks share the LV's name.
fn image_name(name: &str, disk: &LvName, disks: &[LvName]) -> String {
    if disks.iter().filter(|other| other.lv() == disk.lv()).count() > 1 {
        format!("{name}-{}-{}.img.zst", disk.vg(), disk.lv())
    } else {
        format!("{name}-{}.img.zst", disk.lv())
    }
}

impl std::io::Write for Image {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::File(partial) => partial.write(buf),
            Self::Stream(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::File(partial) => partial.flush(),
            Self::Stream(stream) => stream.flush(),
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
