//! What lies where.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use guest_bridge::places::{On, Place, Places, look};

use super::{
    disk::{Mounts, at, there_are_disks},
    local_agent::{LocalAgent, SHELLS},
};

const SOON: Duration = Duration::from_secs(30);
const EXT4: &[&str] = &["mkfs.ext4", "-q"];

async fn looked(shell: &'static str, mounts: &Mounts, paths: &[&Path]) -> Places {
    let paths: Vec<PathBuf> = paths.iter().map(|path| path.to_path_buf()).collect();
    look(&mut LocalAgent::new(shell, mounts.folder()), &paths, SOON).await.unwrap()
}

fn on<'p>(places: &'p Places, path: &Path) -> &'p On {
    let place = places.paths.iter().find(|place| place.path == path);
    place.unwrap_or_else(|| panic!("{} is not told", path.display())).on.as_ref().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn the_filesystems_are_told_each_once_with_what_they_are() {
    if !there_are_disks() {
        return;
    }
    for shell in SHELLS {
        let mut mounts = Mounts::new();
        let data = mounts.disk("my data", EXT4);
        fs::create_dir(data.join("part")).unwrap();
        mounts.mount("bound", &["--bind", text(&data.join("part"))]);
        fs::write(data.join("image"), "").unwrap();
        fs::File::options().write(true).open(data.join("image")).unwrap().set_len(16 << 20).unwrap();
        stillpoint_tests::machine::program::run("mkfs.ext4", &["-q", text(&data.join("image"))]);
        let inner = mounts.mount("inner", &["-o", "loop,ro", text(&data.join("image"))]);
        mounts.mount("memory", &["-t", "tmpfs", "tmpfs"]);

        let mut agent = LocalAgent::new(shell, mounts.folder());
        let source = format!("/dev/zram{}", at(&data).0.minor);
        symlink(&source, agent.by_uuid.join("e2c5-uuid")).unwrap();
        let places = look(&mut agent, &[], SOON).await.unwrap();
        let here =
            |place: &Path| places.mounts.iter().filter(|mount| mount.mountpoint == text(place)).collect::<Vec<_>>();
        let [disk] = here(&data)[..] else { panic!("{shell}: {:?}", places.mounts) };
        assert_eq!((disk.device, disk.fs_type.as_str(), &disk.source), (at(&data).0, "ext4", &source));
        assert_eq!((disk.read_only, disk.is_loop(), disk.takes_marker()), (false, false, true));
        assert_eq!(disk.uuid.as_deref(), Some("e2c5-uuid"));
        let [file] = here(&inner)[..] else { panic!("{shell}: {:?}", places.mounts) };
        assert_eq!((file.read_only, file.is_loop(), file.takes_marker(), &file.uuid), (true, true, false, &None));
        let [in_file] = &places.loops[..] else { panic!("{shell}: {:?}", places.loops) };
        assert_eq!((&*in_file.mountpoint, in_file.read_only), (text(&inner), true));
        assert_eq!((&in_file.file, &in_file.deadlocks_by), (&Some(data.join("image")), &None), "{shell}");
        assert_eq!((places.mounted_again, places.served), (vec![text(&mounts.path("bound")).to_owned()], vec![]));
        let all = places.mounts.iter().filter(|mount| Path::new(&mount.mountpoint).starts_with(mounts.folder()));
        assert_eq!(all.count(), 2, "the disk, and what is in its file: {:?}", places.mounts);
        assert_eq!((places.paths, places.more), (vec![], false));
    }
}

#[tokio::test]
async fn a_path_is_told_with_the_filesystem_that_it_leads_to() {
    if !there_are_disks() {
        return;
    }
    for shell in SHELLS {
        let mut mounts = Mounts::new();
        let data = mounts.disk("my data", EXT4);
        fs::write(data.join("file"), "").unwrap();
        let memory = mounts.mount("memory", &["-t", "tmpfs", "tmpfs"]);
        let (link, missing) = (mounts.path("link"), mounts.path("not there"));
        symlink(data.join("file"), &link).unwrap();

        let places = looked(shell, &mounts, &[&link, &memory, &missing, mounts.folder()]).await;
        let asked: Vec<_> = places.paths[..4].iter().map(|place| place.path.clone()).collect();
        assert_eq!(asked, [link.clone(), memory.clone(), missing, mounts.folder().to_owned()]);
        let disk = On { device: at(&data).0, mountpoint: text(&data).to_owned(), fs_type: "ext4".to_owned() };
        assert_eq!(*on(&places, &link), disk);
        assert_eq!((on(&places, &memory).device.major, on(&places, &memory).fs_type.as_str()), (0, "tmpfs"));
        assert_eq!(places.paths[2].on.as_ref().unwrap_err(), "No such file or directory");
        assert_eq!(on(&places, mounts.folder()).device, at(mounts.folder()).0);
    }
}

#[tokio::test]
async fn what_leads_out_of_a_folder_is_told_too() {
    if !there_are_disks() {
        return;
    }
    for shell in SHELLS {
        let mut mounts = Mounts::new();
        let data = mounts.disk("data", EXT4);
        let other = mounts.disk("o t\\her", EXT4);
        let beneath = mounts.disk("data/beneath", EXT4);
        fs::create_dir_all(data.join("shop/deep")).unwrap();
        fs::create_dir(other.join("schema")).unwrap();
        fs::create_dir(data.join("inside")).unwrap();
        fs::write(other.join("t.MYD"), "").unwrap();
        let leading_out = [
            (data.join("a schema"), other.join("schema")),
            (data.join("shop/t.MYD"), other.join("t.MYD")),
            (other.join("schema/u.MYD"), mounts.path("u.MYD")),
        ];
        fs::write(mounts.path("u.MYD"), "").unwrap();
        for (link, target) in &leading_out {
            symlink(target, link).unwrap();
        }
        symlink(data.join("inside"), data.join("shop/within")).unwrap();
        symlink(&other, data.join("shop/deep/too deep")).unwrap();
        symlink(&other, beneath.join("another filesystem's")).unwrap();
        symlink("/nowhere/at all", data.join("dangling")).unwrap();
        let link = mounts.path("link");
        symlink(&data, &link).unwrap();

        let places = looked(shell, &mounts, &[&link]).await;
        let mut told: Vec<&Path> = places.paths.iter().map(|place| place.path.as_path()).collect();
        told.sort();
        let here = |name: &str| link.join(name);
        let names = ["a schema", "a schema/u.MYD", "dangling", "shop/t.MYD"].map(here);
        let mut expected: Vec<&Path> = names.iter().map(PathBuf::as_path).chain([link.as_path(), &beneath]).collect();
        expected.sort();
        assert_eq!(told, expected, "{shell}");
        for name in ["a schema", "shop/t.MYD"] {
            assert_eq!(on(&places, &here(name)).device, at(&other).0);
        }
        assert_eq!(on(&places, &here("a schema/u.MYD")).device, at(mounts.folder()).0);
        assert_eq!(on(&places, &beneath).device, at(&beneath).0);
        let dangling: &Place = places.paths.iter().find(|place| place.path == here("dangling")).unwrap();
        assert_eq!(dangling.on.as_ref().unwrap_err(), "No such file or directory");
        assert!(!places.more);
    }
}

#[tokio::test]
async fn a_thousand_links_are_told_and_that_there_are_more() {
    for shell in SHELLS {
        let mounts = Mounts::new();
        let folder = mounts.path("folder");
        fs::create_dir(&folder).unwrap();
        for number in 0..1001 {
            symlink("/dev/null", folder.join(number.to_string())).unwrap();
            if number == 999 {
                let places = looked(shell, &mounts, &[&folder]).await;
                assert_eq!((places.paths.len(), places.more), (1001, false), "{shell}");
            }
        }
        let places = looked(shell, &mounts, &[&folder]).await;
        assert_eq!((places.paths.len(), places.more), (1001, true), "{shell}");
    }
}

#[tokio::test]
async fn a_name_that_is_no_line_is_not_passed_over() {
    for shell in SHELLS {
        let mounts = Mounts::new();
        let folder = mounts.path("folder");
        fs::create_dir(&folder).unwrap();
        symlink("/", folder.join("a\nb")).unwrap();
        fs::create_dir(mounts.path("c\nd")).unwrap();
        let odd = mounts.path("leads to an odd name");
        symlink(mounts.path("c\nd"), &odd).unwrap();
        let places = looked(shell, &mounts, &[&folder, &odd]).await;
        assert!(places.more, "{shell}");
        assert!(places.paths[1].on.as_ref().unwrap_err().contains("line break"));
    }
}
