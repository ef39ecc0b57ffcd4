"""A computer with AVX-512 that Bochs plays, with Linux, Python and NumPy: for machines that have no AVX-512.

Its first disk is a system that is made once; its second one is made for each run, with the code, what the code is
given, and what it writes. Bochs is built here: with Debian's, which has a debugger, the computer started in eight times
the time.
"""

import os
import shlex
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from platforms.fetch import PYTHON, Fetched, NoEmulator, need, run

PROCESSOR = "Bochs 3.0, Skylake-X"
_MODEL = "corei7_skylake_x"
_SOURCE = "trixie"
"""The release of Debian that has the source of Bochs 3.0."""
_TOOLS = ("bochsbios", "vgabios", "linux-image-cloud-amd64", "busybox-static", "isolinux", "syslinux-common",
          "genisoimage", "e2fsprogs")  # fmt: skip
_WHEELS = ("numpy", "ml_dtypes", "array-api-compat", "python-flint")
_MODULES = ("scsi_common", "scsi_mod", "libata", "ata_piix", "sd_mod")
"""Of Linux, in the order in which they are loaded: what reads a disk."""
_CYLINDER = 512 * 16 * 63
_SPARE = 64 << 20
"""Bytes of a disk beyond its files."""

# Bochs 3.0 names a size of the state of AVX-512 that Linux does not believe where it is stored compactly.
# A panic ends in a triple fault, and that ends Bochs; other ways to start again would do the job again.
_LINUX = ("console=ttyS0 quiet nokaslr mitigations=off nosmp clearcpuid=xsavec,xsaves random.trust_cpu=on tsc=reliable "
          "panic=-1 reboot=triple")  # fmt: skip

_CONFIGURE = ("--with-nogui", "--without-x", "--enable-cpu-level=6", "--enable-x86-64", "--enable-all-optimizations",
              "--enable-avx", "--enable-evex", "--enable-pci", "--disable-docbook")  # fmt: skip

_DECODER = Path("cpu", "decoder", "fetchdecode32.cc")
_FAULT = "i->setSibIndex(i->sibIndex() | (vvv & 0x10));"
"""Bochs refuses a gather whose index is in registers 16 to 31, as in NumPy's exp: the bit that says so is taken for an
operand that there is not."""
_MENDED = f"{_FAULT} vvv &= 0xf;"

WAIT = """\
tries=0
until [ -b /dev/sdb ]; do
  tries=$((tries + 1))
  if [ $tries -gt 100 ]; then echo "no second disk in ten seconds"; $b sleep 1; $b poweroff -f; fi
  $b usleep 100000
done"""

_INIT = f"""\
#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
exec </dev/ttyS0 >/dev/ttyS0 2>&1
for module in {" ".join(_MODULES)}; do $b insmod /$module.ko; done
{WAIT}
$b mount -t ext4 -o ro /dev/sda /root
$b mount -t ext4 -o sync /dev/sdb /root/work
$b mount --move /proc /root/proc
$b mount -t devtmpfs dev /root/dev
$b mount -t tmpfs tmp /root/tmp
$b chroot /root /bin/busybox sh /work/job
$b umount /root/work
$b poweroff -f
"""

_JOB = """\
cd /work/code
export PYTHONPATH=/site:/work/code:/work/code/conformance HOME=/tmp PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1
/usr/bin/python3.11 {arguments} >/work/out/stdout 2>/work/out/stderr
echo $? >/work/out/code
"""

_COMPUTER = """\
config_interface: textconfig
display_library: nogui
cpu: model={model}, count=1, ips=100000000, reset_on_triple_fault=0
memory: guest=2048, host=2048
romimage: file={bios}, options=fastboot
vgaromimage: file={video}
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
ata0-master: type=disk, path={system}, mode=flat, cylinders={of_system}, heads=16, spt=63
ata0-slave: type=disk, path={work}, mode=flat, cylinders={of_work}, heads=16, spt=63
ata1-master: type=cdrom, path={boot}, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev={console}
clock: sync=none, time0=utc
log: {log}
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
"""


class Bochs(Fetched):
    """The folder of the computer."""

    silence: float = 20 * 60
    """Seconds without a word on the console or a byte on the second disk after which the computer is taken to hang;
    the whole suite takes it six minutes."""

    def install(self) -> None:
        """Fetch, build and make what is not there yet."""
        if not (self.folder / "bochs.done").exists():
            need(("apt-get", "make", "g++"), "to build Bochs")
        self.once("root", partial(self.debian, "root", "amd64", PYTHON))
        self.once("site", partial(self.wheels, "site", _WHEELS, "x86_64", alone=True))
        self.once("tools", partial(self.debian, "tools", "amd64", _TOOLS))
        self.once("bochs", self._build)
        self.once("disks", self._make_disks, recipe=f"{_INIT}{_LINUX}")

    def python(self, arguments: Iterable[str], code: dict[str, Path], given: dict[str, Path], out: Path) -> int:
        """Start the computer, run Python there, and return its exit code.

        `code` are packages, and `given` folders, below /work/code and /work by their names; what Python has written
        below /work/out, and its standard streams, are put into `out`, also of what ends before its end.
        """
        staged = self.folder / "work"
        shutil.rmtree(staged, ignore_errors=True)
        for name in ("code", "out"):
            (staged / name).mkdir(parents=True)
        for name, folder in code.items():
            _copy_sources(folder, staged / "code" / name)
        for name, folder in given.items():
            shutil.copytree(folder, staged / name)
        (staged / "job").write_text(_JOB.format(arguments=shlex.join(arguments)), "utf-8")
        image = self.folder / "work.img"
        self._disk(staged, image)
        try:
            self._start(image)
        finally:
            self._read(image, out)
        code_file = out / "code"
        if not code_file.exists():
            msg = f"the computer that Bochs plays stopped; it said {self._said()[-200:]}"
            raise NoEmulator(msg)
        return int(code_file.read_text("utf-8"))

    def _start(self, work: Path) -> None:
        """Let the computer run until it switches itself off; end it where it hangs."""
        (self.folder / "console").unlink(missing_ok=True)
        disks, share = self.folder / "disks", self.folder / "tools" / "usr" / "share"
        system = disks / "system.img"
        for image in (system, work):
            image.with_name(f"{image.name}.lock").unlink(missing_ok=True)  # of a computer that was killed
        settings = _COMPUTER.format(
            model=_MODEL, bios=share / "bochs" / "BIOS-bochs-latest", video=share / "vgabios" / "vgabios.bin",
            system=system, of_system=system.stat().st_size // _CYLINDER, work=work,
            of_work=work.stat().st_size // _CYLINDER, boot=disks / "boot.iso", console=self.folder / "console",
            log=self.folder / "bochs.log",
        )  # fmt: skip
        (self.folder / "bochsrc").write_text(settings, "utf-8")
        command = [str(self.folder / "bochs" / "bochs"), "-q", "-f", str(self.folder / "bochsrc")]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, cwd=self.folder, stdin=quiet, stdout=quiet, stderr=quiet) as computer:  # noqa: S603
            try:
                self._watch(computer, work)  # its exit code is 1 where it switches itself off
            finally:
                computer.kill()  # where it has not ended: it hangs, or what waits for it is interrupted

    def _watch(self, computer: "subprocess.Popen[bytes]", work: Path) -> None:
        """Wait for the end of the computer, as long as it says or writes something."""
        console = self.folder / "console"
        seen, since = _changes(console, work), time.monotonic()
        while True:
            try:
                computer.wait(min(10, self.silence / 4))
            except subprocess.TimeoutExpired:
                now = _changes(console, work)
                if now != seen:
                    seen, since = now, time.monotonic()
                elif time.monotonic() - since > self.silence:
                    quiet, last = f"{self.silence / 60:g} minutes", self._said().splitlines()[-1]
                    msg = f"the computer that Bochs plays hangs: it did nothing for {quiet}; it last said {last}"
                    raise NoEmulator(msg) from None
            else:
                return

    def _said(self) -> str:
        """Return what stands on the console; of a panic the line that says why, not the registers after it."""
        console = self.folder / "console"
        text = console.read_text("utf-8", "replace").strip() if console.exists() else ""
        return next((line for line in text.splitlines() if "Kernel panic" in line), text or "nothing")

    def _tool(self, *command: str) -> None:
        """Run a program of the part `tools` with its own libraries."""
        tools = self.folder / "tools"
        path = os.pathsep.join(str(tools / name / "x86_64-linux-gnu") for name in ("lib", "usr/lib"))
        linker = tools / "lib64" / "ld-linux-x86-64.so.2"
        settings = {"MKE2FS_CONFIG": str(tools / "etc" / "mke2fs.conf")}
        run([str(linker), "--library-path", path, str(tools / command[0]), *command[1:]], env=os.environ | settings)

    def _disk(self, folder: Path, image: Path) -> None:
        """Make the image of a disk of what is in a folder."""
        files = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
        size = sum(-(-file.stat().st_size // 4096) * 4096 for file in files) * 21 // 20 + _SPARE
        image.unlink(missing_ok=True)
        with image.open("wb") as stream:
            stream.truncate(-(-size // _CYLINDER) * _CYLINDER)
        self._tool("sbin/mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", str(folder), str(image))

    def _read(self, image: Path, out: Path) -> None:
        """Copy the folder `out` from an image to one here, which is not there yet."""
        out.parent.mkdir(parents=True, exist_ok=True)
        self._tool("sbin/debugfs", "-R", f'rdump /out "{out.parent}"', str(image))

    # --- what is made once ------------------------------------------------------------------------------------------

    def _build(self) -> None:
        """Build Bochs without its debugger."""
        sites = run(["apt-get", "indextargets", "--format", "$(SITE) $(LABEL)"]).splitlines()
        site = next((line.split()[0] for line in sites if line.endswith(" Debian")), "")
        if not site:
            msg = "apt knows no archive of Debian, which has the source of Bochs"
            raise NoEmulator(msg)
        folder = self.folder / "bochs"
        listed = folder / "source.list"
        listed.write_text(f"deb-src {site} {_SOURCE} main\n", "utf-8")
        apt = [*self.apt("apt-bochs", "amd64"), "-o", f"Dir::Etc::SourceList={listed}", "-o",
               "Dir::Etc::SourceParts=/dev/null"]  # fmt: skip
        run(["apt-get", *apt, "update"])
        run(["apt-get", *apt, "source", "--tar-only", "--download-only", "bochs"], cwd=folder)
        with tarfile.open(next(folder.glob("*.orig.tar.*"))) as source:
            source.extractall(folder, filter="data")
        source_folder = next(folder.glob("bochs-*/"))
        mend(source_folder / _DECODER)
        flags = {"CFLAGS": "-O2 -w", "CXXFLAGS": "-O2 -w"}
        run(["./configure", *_CONFIGURE], cwd=source_folder, env=os.environ | flags)
        run(["make", f"-j{os.cpu_count()}", "bochs"], cwd=source_folder)
        shutil.copy(source_folder / "bochs", folder / "bochs")
        shutil.rmtree(source_folder)

    def _make_disks(self) -> None:
        """Make the disk of the system, and the CD that the computer starts from."""
        root, tools, disks = (self.folder / name for name in ("root", "tools", "disks"))
        for name in ("proc", "dev", "tmp", "work"):
            (root / name).mkdir(exist_ok=True)
        shutil.copy(tools / "bin" / "busybox", root / "bin" / "busybox")
        shutil.copytree(self.folder / "site", root / "site", dirs_exist_ok=True)
        self._disk(root, disks / "system.img")
        cd = disks / "cd"
        (cd / "isolinux").mkdir(parents=True, exist_ok=True)
        shutil.copy(next((tools / "boot").glob("vmlinuz-*")), cd / "linux")
        (cd / "initrd").write_bytes(self._first_files())
        shutil.copy(tools / "usr" / "lib" / "ISOLINUX" / "isolinux.bin", cd / "isolinux")
        shutil.copy(tools / "usr" / "lib" / "syslinux" / "modules" / "bios" / "ldlinux.c32", cd / "isolinux")
        menu = f"default linux\nprompt 0\nlabel linux\n kernel /linux\n append initrd=/initrd {_LINUX}\n"
        (cd / "isolinux" / "isolinux.cfg").write_text(menu, "utf-8")
        self._tool("usr/bin/genisoimage", "-quiet", "-R", "-o", str(disks / "boot.iso"), "-b", "isolinux/isolinux.bin",
                   "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table",
                   str(cd))  # fmt: skip

    def _first_files(self) -> bytes:
        """Return the files that Linux starts with, as it reads them: what mounts the disks, and starts the job."""
        tools = self.folder / "tools"
        entries = [(name, 0o40755, b"") for name in ("bin", "dev", "proc", "root")]
        entries += [("bin/busybox", 0o100755, (tools / "bin" / "busybox").read_bytes())]
        entries += [("init", 0o100755, _INIT.encode())]
        for module in _MODULES:
            file = next((tools / "lib" / "modules").rglob(f"{module}.ko"))
            entries += [(f"{module}.ko", 0o100644, file.read_bytes())]
        return cpio(entries)


def mend(decoder: Path) -> None:
    """Mend the fault of the decoder."""
    text = decoder.read_text("utf-8")
    if text.count(_FAULT) != 1:
        msg = f"{_DECODER} of Bochs has {text.count(_FAULT)} places like {_FAULT!r}; 1 is expected, which is mended"
        raise NoEmulator(msg)
    decoder.write_text(text.replace(_FAULT, _MENDED), "utf-8")


def cpio(entries: Iterable[tuple[str, int, bytes]]) -> bytes:
    """Return an archive of the format "newc" of entries with name, mode and content."""
    parts = []
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        parts += [_padded(head), _padded(content)]
    return b"".join(parts)


def _changes(*files: Path) -> list[tuple[int, int] | None]:
    """Return what differs as soon as a file is written."""
    return [(file.stat().st_size, file.stat().st_mtime_ns) if file.exists() else None for file in files]


def _padded(part: bytes) -> bytes:
    return part + b"\0" * (-len(part) % 4)


def _copy_sources(folder: Path, to: Path) -> None:
    """Copy code, and the data that it reads."""
    for file in folder.rglob("*"):
        if file.suffix in (".py", ".json", ".toml", ".typed") and file.is_file():
            (to / file.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to / file.relative_to(folder))
