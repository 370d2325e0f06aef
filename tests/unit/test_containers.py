"""The files that make containers: what can be said of them without building any (`make test-compose` builds them)."""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import re
import stat
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its types are a package of their own

from stac_rucio_sync.lake.configs import server_config
from stac_rucio_sync.lake.home import PORT_NAMES, LakeHome, LakeState
from stac_rucio_sync.lake.sites import INGEST_ATTRIBUTE, SITES, distance_km
from stac_rucio_sync.settings import load_settings
from stac_rucio_sync.stores.rucio.origins import ORIGIN_ATTRIBUTE, ORIGIN_DISTANCE

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
DOCKERFILES = sorted((ROOT / "deploy" / "images").glob("*/Dockerfile"))
MAKE_ENV = ROOT / "scripts" / "make-env.sh"
SECRET = re.compile(r"PASSWORD|TOKEN")
VARIABLE = re.compile(r"\$\{([A-Z_]+)(:[-?])?([^}]*)\}")

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
NAMES = sorted(SERVICES)


def load(path: Path) -> ModuleType:
    """Import a script of an image."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def named_secrets(text: str) -> set[str]:
    return {name for name, _, _ in VARIABLE.findall(text) if SECRET.search(name)}


def make_env(file: Path) -> dict[str, str]:
    subprocess.run([MAKE_ENV, file], check=True, capture_output=True, timeout=200)
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


# ------------------------------------------------------------------------------------------------------- passwords


def test_no_password_has_a_default_and_an_empty_one_is_refused() -> None:
    for name, operator, _ in VARIABLE.findall(COMPOSE_FILE.read_text()):
        if SECRET.search(name):
            assert operator == ":?", name  # unset or empty: nothing starts
        else:
            assert operator == ":-", name


def test_every_password_in_an_environment_comes_from_a_variable() -> None:
    for service, about in SERVICES.items():
        for name, value in about.get("environment", {}).items():
            if SECRET.search(name) or ("://" in str(value) and "@" in str(value)):
                assert named_secrets(str(value)), (service, name)


def test_make_env_makes_what_is_asked_for_and_nothing_else(tmp_path: Path) -> None:
    made = make_env(tmp_path / ".env")
    secrets = {name: value for name, value in made.items() if SECRET.search(name)}
    assert set(secrets) == named_secrets(COMPOSE_FILE.read_text())
    assert all(re.fullmatch(r"[0-9a-f]{48}", value) for value in secrets.values())
    assert len(set(secrets.values())) == len(secrets)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    asked = {name for name, _, _ in VARIABLE.findall(COMPOSE_FILE.read_text())}
    assert set(made) <= asked


def test_make_env_keeps_what_stands_there_and_fills_what_is_empty(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    first = make_env(file)
    assert make_env(file) == first
    text = file.read_text().replace(f"JUPYTER_TOKEN={first['JUPYTER_TOKEN']}", "JUPYTER_TOKEN=")
    file.write_text(text.replace("SERVICES_TITLE=stac-rucio-sync", "SERVICES_TITLE=An Archive"))
    second = make_env(file)
    assert second["JUPYTER_TOKEN"] not in ("", first["JUPYTER_TOKEN"])
    assert second["SERVICES_TITLE"] == "An Archive"
    assert {**second, "JUPYTER_TOKEN": "", "SERVICES_TITLE": ""} == {**first, "JUPYTER_TOKEN": "", "SERVICES_TITLE": ""}


def test_passwords_stay_out_of_git_and_out_of_images() -> None:
    asked = subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=ROOT, check=False, timeout=200)
    assert asked.returncode == 0
    assert not is_sent(".env")
    assert is_sent("pyproject.toml")


@pytest.mark.parametrize("name", ["accounts.json", "demo.json"])
def test_every_account_of_rucio_has_a_password_from_the_environment(name: str) -> None:
    wanted = json.loads((ROOT / "deploy" / "compose" / name).read_text())
    given = named_secrets(COMPOSE_FILE.read_text())
    assert wanted["accounts"]
    for account in wanted["accounts"]:
        assert account["password"].removeprefix("$") in given, account["account"]


def test_a_password_that_is_missing_or_empty_stops_the_set_up() -> None:
    prepare = load(ROOT / "deploy" / "images" / "rucio" / "prepare.py")
    wanted = {"accounts": [{"password": "$SECRET", "attributes": {"a": True}}], "limit": 3}
    filled = {"accounts": [{"password": "x$y", "attributes": {"a": True}}], "limit": 3}
    assert prepare.filled(wanted, {"SECRET": "x$y"}) == filled
    for environment in ({}, {"SECRET": ""}):
        with pytest.raises(KeyError, match="SECRET"):
            prepare.filled(wanted, environment)


# ---------------------------------------------------------------------------------------------------- the services


@pytest.mark.parametrize("name", NAMES)
def test_every_container_is_contained(name: str) -> None:
    about = SERVICES[name]
    assert about["read_only"] is True
    assert about["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in about["security_opt"]
    assert "privileged" not in about
    for port in about.get("ports", []):
        assert port.startswith(("127.0.0.1:", "${PUBLISH_ADDRESS:-127.0.0.1}:")), "published to everybody"


@pytest.mark.parametrize("name", NAMES)
def test_what_lasts_says_how_it_is_and_what_ends_is_not_started_again(name: str) -> None:
    about = SERVICES[name]
    assert ("healthcheck" in about) == (about.get("restart") == "unless-stopped")


@pytest.mark.parametrize("name", NAMES)
def test_dependencies_are_waited_for_and_in_the_same_profiles(name: str) -> None:
    profiles = set(SERVICES[name].get("profiles", []))
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        lasts = "healthcheck" in SERVICES[other]
        assert wait["condition"] == ("service_healthy" if lasts else "service_completed_successfully"), other
        theirs = set(SERVICES[other].get("profiles", []))
        assert not theirs or (profiles and profiles <= theirs), other


@pytest.mark.parametrize("name", NAMES)
def test_what_a_container_is_made_of_is_there(name: str) -> None:
    about = SERVICES[name]
    if "build" in about:
        dockerfile = ROOT / about["build"]["dockerfile"]
        assert dockerfile in DOCKERFILES
        if "target" in about["build"]:
            assert re.search(rf"^FROM \S+ AS {about['build']['target']}$", dockerfile.read_text(), re.MULTILINE)
    declared = yaml.safe_load(COMPOSE_FILE.read_text())
    for volume in about.get("volumes", []):
        source = volume.split(":")[0]
        assert (ROOT / source).is_file() if source.startswith("./") else source in declared["volumes"], volume
    assert set(about.get("networks", [])) <= set(declared["networks"])


def test_metrics_are_kept_and_not_published() -> None:
    about = SERVICES["services"]
    assert about["environment"]["STAC_RUCIO_SYNC_METRICS__PORT"] == "9464"
    assert [port.rsplit(":", 1)[1] for port in about["ports"]] == ["8080"]


def test_all_of_ours_log_json_unless_told_otherwise() -> None:
    for name, about in SERVICES.items():
        if about["image"].startswith("stac-rucio-sync/services:"):
            form, level = (about["environment"][f"STAC_RUCIO_SYNC_LOG__{part}"] for part in ("FORMAT", "LEVEL"))
            assert (form, level) == ("${LOG_FORMAT:-json}", "${LOG_LEVEL:-info}"), name


def test_the_server_of_dachs_has_no_right_to_change_what_its_set_up_runs() -> None:
    assert "POSTGRES_PASSWORD" in SERVICES["dachs-setup"]["environment"]
    assert "POSTGRES_PASSWORD" not in SERVICES["dachs"]["environment"]
    (inputs,) = (volume for volume in SERVICES["dachs"]["volumes"] if volume.startswith("dachs-inputs:"))
    assert inputs.endswith(":ro")


def test_the_database_is_reached_from_inside_only() -> None:
    declared = yaml.safe_load(COMPOSE_FILE.read_text())
    assert SERVICES["database"]["networks"] == ["tables"]
    assert declared["networks"]["tables"] == {"internal": True}
    assert "ports" not in SERVICES["database"]


def test_compose_reads_it_and_asks_for_passwords(tmp_path: Path) -> None:
    for program in (["docker", "compose"], ["docker-compose"]):
        try:
            version = subprocess.run([*program, "version"], capture_output=True, check=False, timeout=200)
        except FileNotFoundError:
            continue
        if version.returncode == 0:
            break
    else:
        pytest.skip("no Compose here")
    # Beside a copy, so that neither a .env of the checkout nor its absence matters.
    (tmp_path / "docker-compose.yml").symlink_to(COMPOSE_FILE)
    profiles = sorted({profile for about in SERVICES.values() for profile in about.get("profiles", [])})
    command = [*program, *(f"--profile={profile}" for profile in profiles), "config", "--quiet"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    refused = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert refused.returncode != 0
    assert "make-env.sh" in refused.stderr
    make_env(tmp_path / ".env")
    taken = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert taken.returncode == 0, taken.stderr


# ------------------------------------------------------------------------------------------------------ the images


def is_sent(path: str) -> bool:
    """Tell whether Docker sends a file to its daemon, by .dockerignore: the last pattern that matches decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if not line or line.startswith("#"):
            continue
        parts = [path, *(str(above) for above in Path(path).parents if str(above) != ".")]
        if any(fnmatch(part, pattern) or fnmatch(f"./{part}", pattern.replace("**", "*")) for part in parts):
            sent = line.startswith("!")
    return sent


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with what they say, continued lines joined, comments left out."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = "\n".join(lines).replace("\\\n", " ")
    found = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(first, rest) for first, rest in found if first.isupper()]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_everything_that_is_copied_is_there_and_sent(dockerfile: Path) -> None:
    for first, rest in instructions(dockerfile):
        if first == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert is_sent(source.rstrip("/")), f"{source}: .dockerignore keeps it back"


def builds(about: dict[str, Any], dockerfile: Path) -> bool:
    return "build" in about and ROOT / about["build"]["dockerfile"] == dockerfile


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_images_have_a_pinned_base_and_do_not_run_as_root(dockerfile: Path) -> None:
    stages: dict[str, str] = {}
    user: dict[str, str] = {}
    stage = ""
    for first, rest in instructions(dockerfile):
        if first == "FROM":
            base, _, name = rest.partition(" AS ")
            assert base in stages or re.fullmatch(r"[a-z]+:[0-9.]+-(slim-)?[a-z]+", base), base
            stage = name or "last"
            stages[stage] = base
            user[stage] = user.get(base, "root")
        elif first == "USER":
            user[stage] = rest
    built = {about["build"].get("target", "last") for about in SERVICES.values() if builds(about, dockerfile)}
    assert built
    assert all(user[name] not in ("root", "0") for name in built), user


def test_both_images_make_the_storage_alike() -> None:
    """The volume gets the folders of the image whose container is the first, and the user that they belong to."""
    folders = set()
    for dockerfile in DOCKERFILES:
        text = " ".join(rest for first, rest in instructions(dockerfile) if first == "RUN")
        made = re.search(r"install --directory --owner (\d+) --group (\d+) ((?:/srv/storage\S*\s*)+)", text)
        if made:
            folders.add((made[1], made[2], tuple(made[3].split())))
    assert len(folders) == 1
    assert "10001" in next(iter(folders))


def test_dependencies_of_the_images_are_those_of_the_project() -> None:
    text = (ROOT / "deploy" / "images" / "stac-rucio-sync" / "Dockerfile").read_text()
    first = re.search(r"for extra in (\([^)]*\))", text)
    extras = re.findall(r"'/src\[([\w,]+)\]'", text)
    assert first is not None
    assert sorted(re.findall(r"\w+", first[1])) == sorted(extras[0].split(","))
    assert set(extras[0].split(",")) < set(extras[1].split(","))


# --------------------------------------------------------------------------------------------- Rucio and its storage


def test_rucio_is_configured_as_in_the_embedded_lake(tmp_path: Path) -> None:
    configure = load(ROOT / "deploy" / "images" / "rucio" / "configure.py")
    environment = {
        "RUCIO_DATABASE_URL": "postgresql://rucio:secret@database/archive",
        "RUCIO_ROOT_PASSWORD": "root%secret",
        "RUCIO_CACHE": "cache:11211",
        "RUCIO_EVENTS_URL": "http://watch:8090/events",
        "RUCIO_EVENTS_PASSWORD": "events",
    }
    ours = configure.server_sections(environment, tmp_path)
    passwords = {"role:rucio": "x", "account:root": "x", "hermes:watch": "x"}
    state = LakeState(passwords=passwords, ports=dict.fromkeys(PORT_NAMES, 1))
    lake = read_ini(server_config(LakeHome(tmp_path), state, cached=True))
    assert {section: set(options) for section, options in ours.items()} == {
        section: set(options) for section, options in lake.items()
    }
    same = [("policy", None), ("conveyor", None), ("database", "schema"), ("database", "pool_size")]
    for section, option in same:
        assert ours[section] == lake[section] if option is None else ours[section][option] == lake[section][option]
    configure.write(tmp_path / "rucio.cfg", ours)
    assert stat.S_IMODE((tmp_path / "rucio.cfg").stat().st_mode) == 0o600
    assert read_ini((tmp_path / "rucio.cfg").read_text())["bootstrap"]["userpass_pwd"] == "root%secret"
    for name in environment:
        with pytest.raises(KeyError, match=name):
            configure.server_sections({key: value for key, value in environment.items() if key != name}, tmp_path)


def read_ini(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return {section: dict(parser[section]) for section in parser.sections()}


def test_the_storage_of_the_demo_is_where_its_rses_say() -> None:
    wanted = json.loads((ROOT / "deploy" / "compose" / "demo.json").read_text())
    folders = json.loads(SERVICES["storage"]["environment"]["LAKE_FOLDERS"])
    shares = json.loads(SERVICES["webdav"]["environment"]["LAKE_SHARES"])
    root = SERVICES["rucio-daemons"]["environment"]["LAKE_RSE_FOLDER"]
    sites = {site.rse: site for site in SITES}
    for rse in wanted["rses"]:
        protocols = {protocol["scheme"]: protocol for protocol in rse["protocols"]}
        http = protocols["http"]
        if "file" in protocols:
            assert protocols["file"]["prefix"] == f"{folders[str(http['port'])]}/"
            assert protocols["file"]["prefix"].startswith(f"{root}/")
            assert http["hostname"] == "storage"
            site = sites[rse["rse"]]
            place = tuple(float(rse["attributes"][axis]) for axis in ("latitude", "longitude"))
            assert (rse["attributes"]["site"], *place) == (site.site, site.latitude, site.longitude)
        else:
            assert http["hostname"] == "webdav"
            assert http["prefix"].strip("/") in shares
    (apart,) = {pair["distance"] for pair in wanted["distances"]} - {1}
    assert apart == distance_km(SITES[0], SITES[1])


@pytest.mark.parametrize("name", ["accounts.json", "demo.json"])
def test_the_names_that_the_policy_asks_for(name: str) -> None:
    wanted = json.loads((ROOT / "deploy" / "compose" / name).read_text())
    assert wanted["origins"] == {"attribute": ORIGIN_ATTRIBUTE, "distance": ORIGIN_DISTANCE}
    for account in wanted["accounts"]:
        assert account["attributes"] == ({INGEST_ATTRIBUTE: True} if account["account"] == "ingest" else {})


def test_the_settings_of_the_containers_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("STAC_RUCIO_SYNC_")]:
        monkeypatch.delenv(name)
    settings = load_settings(ROOT / "deploy" / "compose" / "settings.toml")
    assert settings.origins.create
    folders = json.loads(SERVICES["storage"]["environment"]["LAKE_FOLDERS"])
    assert settings.soda.folders == {f"http://storage:{port}": Path(folder) for port, folder in folders.items()}
    published = {port.rsplit(":", 1)[1]: port for port in SERVICES["storage"]["ports"]}
    assert settings.locality.gateways == {
        f"http://storage:{port}": f"http://{published[port].rsplit(':', 1)[0]}" for port in folders
    }
