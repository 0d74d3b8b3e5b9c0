#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""lint.py REPO "MODULE...": what of the packages can be told without building them.

Versions, symbols, licences and addresses are each written in one place and repeated in
others that tools read; here they are compared. What CMake would install is asked of CMake
(its file API), and each file has to be claimed by exactly one package.
"""
import fnmatch
import json
import os
import re
import subprocess
import sys
import tempfile

PARTS = "userspace/libsvm;tests/conformance"
LIBDIR = "lib/x86_64-linux-gnu"
COMPANION = "amdgpu"	# never built by DKMS
problems = []


def complain(text):
    problems.append(text)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def match(pattern, path):
    found = re.search(pattern, read(path), re.M)
    if not found:
        complain(f"{path}: no match for {pattern}")
        return None
    return found.group(1)


def check_versions():
    header = "userspace/libsvm/include/kfdsvm.h"
    version = match(r"project\(kfdsvm VERSION ([0-9.]+)", "CMakeLists.txt")
    numbers = [match(rf"^#define KFDSVM_VERSION_{part}\s+(\d+)", header)
               for part in ("MAJOR", "MINOR", "PATCH")]
    others = {
        "userspace/libsvm/CMakeLists.txt":
            match(r"project\(kfdsvm VERSION ([0-9.]+)", "userspace/libsvm/CMakeLists.txt"),
        "dkms.conf": match(r'^PACKAGE_VERSION="(.*)"', "dkms.conf"),
        "packaging/debian/changelog":
            match(r"^kfdsvm \(([^)]*)-[^-)]*\)", "packaging/debian/changelog"),
        header: ".".join(map(str, numbers)),
    }
    for path, other in others.items():
        if other != version:
            complain(f"{path}: version {other}, but CMakeLists.txt says {version}")


def check_symbols():
    path = "packaging/debian/libkfdsvm0.symbols"
    node, listed = None, set()
    for line in read("userspace/libsvm/libkfdsvm.map").splitlines():
        if found := re.match(r"(KFDSVM_\w+) \{", line):
            node = found.group(1)
            listed.add(f"{node}@{node}")
        elif found := re.match(r"\s+(kfdsvm_\w+);", line):
            listed.add(f"{found.group(1)}@{node}")
    if len(listed) < 2:
        complain("libkfdsvm.map: no symbols found")
    known = set(re.findall(r"^ (\S+@\S+) \S+$", read(path), re.M))
    for name in sorted(listed - known):
        complain(f"{path}: add ' {name} <version>', it is in libkfdsvm.map")
    for name in sorted(known - listed):
        complain(f"{path}: {name} is not in libkfdsvm.map")


def check_dkms(modules):
    text = read("dkms.conf")
    names = re.findall(r'^BUILT_MODULE_NAME\[(\d+)\]="(.*)"', text, re.M)
    places = dict(re.findall(r'^BUILT_MODULE_LOCATION\[(\d+)\]="(.*)"', text, re.M))
    goals = dict(re.findall(r'^DEST_MODULE_LOCATION\[(\d+)\]="(.*)"', text, re.M))
    wanted = [name for name in modules if name != COMPANION]
    if [name for _, name in names] != wanted:
        complain(f"dkms.conf: modules {[n for _, n in names]}, but ./dev has {wanted}")
    dirs = re.search(r"KFDSVM_DIRS='([^']*)'", text)
    dirs = dirs.group(1).split() if dirs else []
    if sorted(dirs) != sorted(places[number] + "/" for number, _ in names if number in places):
        complain(f"dkms.conf: KFDSVM_DIRS is not where its modules are: {dirs}")
    for number, name in names:
        kbuild = os.path.join(places.get(number, ""), "Kbuild")
        if not os.path.exists(kbuild) or f"obj-m := {name}.o" not in read(kbuild):
            complain(f"dkms.conf: {name} is not built in {places.get(number)}")
        if number not in goals:
            complain(f"dkms.conf: {name} has no destination")
    for option in ("CONFIG_HMM_MIRROR", "CONFIG_MMU_NOTIFIER", "CONFIG_DRM"):
        if option not in match(r'^BUILD_EXCLUSIVE_CONFIG="(.*)"', "dkms.conf").split():
            complain(f"dkms.conf: a kernel without {option} is not skipped")
    # What is loaded by itself has one of these.
    for folder in ("mm", "drivers"):
        found = subprocess.run(["grep", "-rnE", r"^MODULE_(ALIAS|DEVICE_TABLE)", folder],
                               stdout=subprocess.PIPE, text=True, check=False).stdout
        if found:
            complain(f"a module with an alias is loaded by itself: {found.strip()}")
    shipped = re.search(r"dh_install -pkfdsvm-dkms (.*?)usr/src",
                        read("packaging/debian/rules"), re.S)
    shipped = shipped.group(1).replace("\\", " ").split() if shipped else []
    for need in {"Kbuild", "include"} | {place.split("/")[0] for place in places.values()}:
        if need not in shipped:
            complain(f"packaging/debian/rules: {need} is not in kfdsvm-dkms")


def licence_of(path):
    with open(path, "rb") as file:
        lines = [file.readline(), file.readline()]
    for line in lines:
        found = re.search(rb"SPDX-License-Identifier: *([\w.\- ]+\w)", line)
        if found:
            # The older names of the same licences.
            name = re.sub(r"^GPL-2\.0(?!-)", "GPL-2.0-only", found.group(1).decode())
            return {"MIT": "Expat",
                    "GPL-2.0-only WITH Linux-syscall-note":
                        "GPL-2.0-only with Linux-syscall-note exception"}.get(name, name)
    return None


def check_copyright(files):
    path = "packaging/debian/copyright"
    stanzas = []
    for stanza in read(path).split("\n\n"):
        found = re.match(r"Files:(.*?)\nCopyright:.*?\nLicense: ([^\n]*)", stanza, re.S)
        if found:
            stanzas.append((found.group(1).split(), found.group(2)))
    used = set()
    for file in files:
        said = None
        for patterns, licence in stanzas:
            for pattern in patterns:
                # A star also matches slashes there, as it does here.
                if fnmatch.fnmatchcase(file, pattern):
                    said = licence
                    used.add(pattern)
        licence = licence_of(file) if os.path.isfile(file) and not os.path.islink(file) else None
        if licence and licence != said and not file.startswith("LICENSES/"):
            complain(f"{path}: {file} is {licence}, not {said}")
    for patterns, _ in stanzas:
        for pattern in patterns:
            if pattern not in used:
                complain(f"{path}: no file matches {pattern}")


def check_addresses():
    address = match(r"^ (https://\S+\.git) ", "packaging/debian/watch")
    for path, pattern in (("packaging/debian/copyright", r"^Source: (.*)"),
                          ("packaging/debian/upstream/metadata", r"^Repository: (.*)")):
        if match(pattern, path) != address:
            complain(f"{path}: the repository is not that of packaging/debian/watch")


def cmake_installs(build):
    query = os.path.join(build, ".cmake/api/v1/query")
    os.makedirs(query)
    open(os.path.join(query, "codemodel-v2"), "w", encoding="utf-8").close()
    subprocess.run(["cmake", "-S", ".", "-B", build, f"-DKFDSVM_PARTS={PARTS}",
                    "-DCMAKE_INSTALL_PREFIX=/usr", f"-DCMAKE_INSTALL_LIBDIR={LIBDIR}"],
                   check=True, stdout=subprocess.DEVNULL)
    reply = os.path.join(build, ".cmake/api/v1/reply")

    def load(name):
        return json.loads(read(os.path.join(reply, name)))

    index = [n for n in os.listdir(reply) if n.startswith("codemodel-v2")][0]
    installed = set()
    for directory in load(index)["configurations"][0]["directories"]:
        for installer in load(directory["jsonFile"]).get("installers", []):
            to = installer.get("destination", "")
            to = to if to.startswith("/") else "/usr/" + to
            if installer["type"] == "export":
                installed.add(os.path.join(to, installer["exportName"] + ".cmake"))
                continue
            for item in installer.get("paths", []):
                name = item if isinstance(item, str) else item["to"]
                installed.add(os.path.normpath(os.path.join(to, os.path.basename(name))))
    return installed


def claims(tree, package):
    """Files of TREE (a stand-in for debian/tmp) that a package's .install takes."""
    path = f"packaging/debian/{package}.install"
    if os.access(path, os.X_OK):
        work = os.path.dirname(os.path.dirname(tree))
        lines = subprocess.run(["sh", os.path.abspath(path)], cwd=work, check=True, text=True,
                               stdout=subprocess.PIPE).stdout.split()
    else:
        lines = [line for line in read(path).split() if not line.startswith("#")]
    taken = set()
    for root, _, names in os.walk(tree):
        for name in names:
            file = os.path.relpath(os.path.join(root, name), tree)
            if any(fnmatch.fnmatchcase(file, pattern) for pattern in lines):
                taken.add("/" + file)
    return taken


def check_install():
    packages = re.findall(r"^Package: (\S+)", read("packaging/debian/control"), re.M)
    packages.remove("kfdsvm-dkms")
    with tempfile.TemporaryDirectory() as scratch:
        installed = cmake_installs(os.path.join(scratch, "build"))
        tree = os.path.join(scratch, "debian/tmp")
        for path in installed:
            os.makedirs(os.path.dirname(tree + path), exist_ok=True)
            open(tree + path, "w", encoding="utf-8").close()
        owner = {}
        for package in packages:
            taken = claims(tree, package)
            if not taken:
                complain(f"{package} would be empty")
            for path in taken:
                if path in owner:
                    complain(f"{path} is in {owner[path]} and in {package}")
                owner[path] = package
    for path in sorted(installed - set(owner)):
        complain(f"{path} is installed, but in no package")
    for path in installed:
        if re.search(r"(^|/)(libsvm\.[^/]*|svm\.h)$", path):
            complain(f"{path}: a name of libsvm, another project")
        if "/udev/" in path or "modules-load.d" in path:
            complain(f"{path} changes how /dev/kfd comes or what is loaded")


def check_tests():
    names = set(re.findall(r"^Tests: (.*)$", read("packaging/debian/tests/control"), re.M))
    files = {name for name in os.listdir("packaging/debian/tests") if name != "control"}
    if names != files:
        complain(f"packaging/debian/tests: {sorted(files)}, control has {sorted(names)}")
    for name in files:
        path = f"packaging/debian/tests/{name}"
        if not os.access(path, os.X_OK):
            complain(f"{path} is not executable")
        if subprocess.run(["sh", "-n", path], check=False).returncode:
            complain(f"{path} is no shell script")


def main():
    os.chdir(sys.argv[1])
    files = sys.stdin.read().split("\0")
    check_versions()
    check_symbols()
    check_dkms(sys.argv[2].split())
    check_copyright([file for file in files if file and os.path.exists(file)])
    check_addresses()
    check_install()
    check_tests()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
