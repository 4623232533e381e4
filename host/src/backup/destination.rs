//! Where artifacts go: a folder, or standard output. Names are claimed before anything in the guest is touched.

use std::io::Write;
use std::path::{Path, PathBuf};

use image::artifact::{ArtifactError, Partial, Stream, Target};
use lvm::LvName;
use serde::Serialize;

use super::disk::{Claimed, Disk, DiskPlan};
use super::output::{Image, file_name};
use crate::failure::{At, Cause, Failure};
use crate::run::Run;
use crate::run::entry::Fact;
use crate::run::held::Held;
use crate::step::Step;

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

impl Destination {
    /// Whether something else can be put there after an image was given up: what went to standard output is with whoever reads it.
    #[must_use]
    pub fn takes_another(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }
}

/// The receipt in the making, and the names of all files that become visible with it. Dropped, none of them does.
#[derive(Debug)]
pub struct Publication {
    receipt: Option<Partial>,
    holds: Vec<Held>,
}

/// Creates every file under its temporary name: each disk goes on with its artifact.
///
/// # Errors
/// Where a name is taken, or the folder is missing or not writable: nothing is left behind then.
pub async fn claim(
    destination: &Destination,
    disks: Vec<DiskPlan>,
    run: &Run,
) -> Result<(Publication, Vec<Disk<Claimed>>), Failure> {
    let (named, receipt) = names(destination, disks).at(Step::Output)?;
    let holds = holds(named.iter().filter_map(|(_, name)| name.file()).chain(&receipt)).at(Step::Output)?;

    let creating = async {
        let create = |(plan, name): (DiskPlan, ImageName)| Ok(Disk { plan, image: name.create()?, stage: Claimed });
        let disks = named.into_iter().map(create).collect::<Result<Vec<_>, ArtifactError>>()?;
        let receipt = receipt.map(Target::create).transpose()?;
        Ok::<_, ArtifactError>((receipt, disks))
    };
    let (receipt, disks) = run.take(Step::Output, holds.clone(), creating, |_| None).await?;
    Ok((Publication { receipt, holds }, disks))
}

/// The same for a dump: `NAME.sql.zst`, or standard output.
///
/// # Errors
/// As [`claim`].
pub async fn claim_dump(destination: &Destination, run: &Run) -> Result<(Publication, Image), Failure> {
    let (dump, receipt) = match destination {
        Destination::Folder { folder, name } => {
            let target = |name: &str| Target::new(folder, name);
            let dump = target(&format!("{name}.sql.zst")).at(Step::Output)?;
            (ImageName::File(dump), Some(target(&format!("{name}.json")).at(Step::Output)?))
        }
        Destination::Stdout { receipt } => (ImageName::Stdout, receipt_target(receipt.as_deref()).at(Step::Output)?),
    };
    let holds = holds(dump.file().into_iter().chain(&receipt)).at(Step::Output)?;
    let creating = async { Ok::<_, ArtifactError>((receipt.map(Target::create).transpose()?, dump.create()?)) };
    let (receipt, dump) = run.take(Step::Output, holds.clone(), creating, |_| None).await?;
    Ok((Publication { receipt, holds }, dump))
}

/// What the log names before `files` are there. Whoever reads it may stand in another folder.
fn holds<'t>(files: impl Iterator<Item = &'t Target>) -> Result<Vec<Held>, ArtifactError> {
    let partial = |path: &Path| std::path::absolute(path).map(|path| Held::Partial { path });
    let holds = files.flat_map(Target::temporary_paths).map(partial).collect::<Result<Vec<_>, _>>();
    holds.map_err(|source| ArtifactError::Io { step: "find", path: ".".into(), source })
}

impl Publication {
    /// Gives every file its name, the receipt last: where there is a receipt, there is a whole artifact.
    ///
    /// # Errors
    /// Where a file cannot be synced or named. Files that were named by then stay, without a receipt; one that does not fit
    /// beside the images is noticed before any is named.
    pub async fn publish(self, images: Vec<Image>, receipt: &impl Serialize, run: &Run) -> Result<(), Failure> {
        let publishing = async {
            let mut file = self.receipt;
            if let Some(file) = &mut file {
                let text = serde_json::to_vec_pretty(receipt).map_err(std::io::Error::from);
                let written = text.and_then(|text| file.write_all(&text)).and_then(|()| file.write_all(b"\n"));
                let path = file.target().path().to_owned();
                written.map_err(|source| ArtifactError::Io { step: "write", path, source })?;
            }
            let partials = images.into_iter().filter_map(|image| match image {
                Image::File(partial) => Some(partial),
                Image::Stream(_) => None,
            });
            let named = partials.chain(file).map(|partial| partial.finish().map(|path| file_name(&path)));
            named.collect::<Result<Vec<_>, ArtifactError>>()
        };
        let fact = |files: &Vec<String>| Some(Fact::Published { files: files.clone() });
        run.release(Step::Publish, self.holds, publishing, fact).await.map(drop)
    }
}

enum ImageName {
    File(Target),
    Stdout,
}

impl ImageName {
    fn file(&self) -> Option<&Target> {
        match self {
            Self::File(target) => Some(target),
            Self::Stdout => None,
        }
    }

    fn create(self) -> Result<Image, ArtifactError> {
        match self {
            Self::File(target) => Ok(Image::File(target.create()?)),
            Self::Stdout => Ok(Image::Stream(Stream::stdout()?)),
        }
    }
}

/// Each disk with the name of its artifact, and the receipt's; free when they were looked at.
#[expect(clippy::type_complexity, reason = "what the one caller takes apart at once")]
fn names(
    destination: &Destination,
    disks: Vec<DiskPlan>,
) -> Result<(Vec<(DiskPlan, ImageName)>, Option<Target>), Cause> {
    match destination {
        Destination::Folder { folder, name } => {
            let all: Vec<LvName> = disks.iter().map(|disk| disk.origin.name.clone()).collect();
            let target = |disk: DiskPlan| {
                let target = Target::new(folder, &image_name(name, &disk.origin.name, &all))?;
                Ok((disk, ImageName::File(target)))
            };
            let images = disks.into_iter().map(target).collect::<Result<_, ArtifactError>>()?;
            Ok((images, Some(Target::new(folder, &format!("{name}.json"))?)))
        }
        Destination::Stdout { .. } if disks.len() != 1 => Err(Cause::usage(
            format!("standard output takes the image of one disk, and {} are named", disks.len()),
            "write to a folder with --to, or back up one disk",
        )),
        Destination::Stdout { receipt } => {
            let images = disks.into_iter().map(|disk| (disk, ImageName::Stdout)).collect();
            Ok((images, receipt_target(receipt.as_deref())?))
        }
    }
}

fn receipt_target(receipt: Option<&Path>) -> Result<Option<Target>, ArtifactError> {
    let folder = |path: &Path| match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    receipt.map(|path| Target::new(&folder(path), &file_name(path))).transpose()
}

/// `NAME-LV.img.zst`; with the group too where two disks share the LV's name.
fn image_name(name: &str, disk: &LvName, disks: &[LvName]) -> String {
    if disks.iter().filter(|other| other.lv() == disk.lv()).count() > 1 {
        format!("{name}-{}-{}.img.zst", disk.vg(), disk.lv())
    } else {
        format!("{name}-{}.img.zst", disk.lv())
    }
}
