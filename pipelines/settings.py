"""Settings: flags over environment over `.env` over Prefect variables and Secret blocks over defaults."""

from __future__ import annotations

import re
import sys
from collections.abc import Set
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipelines import telemetry
from pipelines.masking import mask_from_now_on
from transforms.addresses import MASK
from transforms.errors import SettingsError
from transforms.hidden import secrets_in_url, without_secrets
from transforms.policy import Policy, parse_policy

PREFIX = "CSP_BILLING_"
#: Settings whose address may hold a password or a signature: a Prefect variable can be read by everybody there.
_MAY_HOLD_SECRETS = ("warehouse_url", "exports", "landing", "parts")


class Settings(BaseSettings):
    """Every setting of the contract, each read from `CSP_BILLING_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    home: Path = Field(default=Path(".csp-billing"), description="Working folder: warehouse, landing copies, reports.")
    warehouse_url: str = Field(default="", description="SQLAlchemy URL; default: DuckDB file in the working folder.")
    exports: str = Field(default="exports", description="Folder or URL with the partner exports.")
    landing: str = Field(
        default="", description="Folder or URL for copies of exports, and fetched ones; default: in the working folder."
    )
    halo_url: str = Field(default="", description="Base URL of HaloPSA.")
    halo_client_id: str = Field(default="", description="Client id of the HaloPSA API application.")
    halo_client_secret: SecretStr = Field(default=SecretStr(""), description="Its secret.")
    halo_tenant: str = Field(default="", description="HaloPSA tenant, where hosted ones need it.")
    halo_csp_tenant_id: int = Field(default=1, description="Integer written to tenantid of invoices.")
    halo_rate: str = Field(default="300/300", description="Requests / seconds allowed.")
    halo_usage: Literal["aggregate", "daily"] = Field(
        default="aggregate", description="What stands for Azure-plan charges: the invoice's lines or the usage rows."
    )
    halo_line_type: int = Field(default=0, description="Integer written to type of reconciliation lines.")
    halo_usage_type: int = Field(default=1, description="Integer written to type of usage lines.")
    partner_tenant_id: str = Field(default="", description="Tenant of the partner, for Partner Center and Graph.")
    partner_client_id: str = Field(default="", description="Client id of the application registered there.")
    partner_client_secret: SecretStr = Field(default=SecretStr(""), description="Its secret.")
    partner_refresh_token: SecretStr = Field(default=SecretStr(""), description="Of the user who gave it consent.")
    partner_markets: str = Field(default="", description="Countries whose price sheets are fetched, as US,GB.")
    partner_currencies: str = Field(default="", description="Currencies of unbilled exports, as USD,GBP.")
    partner_deadline: int = Field(default=3600, gt=0, description="Seconds that one export may take at Microsoft.")
    graph_url: str = Field(default="https://graph.microsoft.com", description="Microsoft Graph.")
    partner_center_url: str = Field(
        default="https://api.partnercenter.microsoft.com", description="Partner Center's API: invoices."
    )
    partner_pricing_url: str = Field(default="https://api.partner.microsoft.com", description="Its pricing API.")
    login_url: str = Field(default="https://login.microsoftonline.com", description="Microsoft's sign-in service.")
    engine: Literal["local", "dask"] = Field(default="local", description="Who reads and judges lines.")
    dask_address: str = Field(default="", description="Address of a Dask scheduler; default: workers of this run.")
    parts: str = Field(default="", description="Folder or URL for parts of a Dask run; default: in the working folder.")
    approver: str = Field(default="", description="Who approves where --approve is given without --by.")
    snapshot: bool = Field(default=True, description="Renew the analysts' copy after each run.")
    log_format: Literal["text", "json"] = Field(default="text", description="How log lines on stderr are written.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="warning", description="The least of log lines that is written."
    )
    policy: Path | None = Field(default=None, description="Policy file, JSON or TOML; default: built in.")

    @field_validator("halo_rate")
    @classmethod
    def _rate(cls, rate: str) -> str:
        requests, _, seconds = rate.partition("/")
        if not (requests.isdigit() and seconds.isdigit() and int(requests) and int(seconds)):
            raise ValueError("write it as requests/seconds, for example 300/300")
        return rate

    @field_validator("partner_markets", "partner_currencies")
    @classmethod
    def _codes(cls, codes: str, info: ValidationInfo) -> str:
        length, example = (2, "US,GB") if info.field_name == "partner_markets" else (3, "USD,GBP")
        if not all(len(code) == length and code.isascii() and code.isalpha() for code in _listed(codes)):
            raise ValueError(f"write codes of {length} letters, for example {example}")
        return codes

    @field_validator("graph_url", "partner_center_url", "partner_pricing_url", "login_url")
    @classmethod
    def _https(cls, url: str) -> str:
        if not re.fullmatch(r"https://[^\s/?#@]+(/[^\s?#]*)?", url):
            raise ValueError("write an address that begins with https:// and holds no password")
        return url.rstrip("/")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Add Prefect's variables and blocks as the last source."""
        return init_settings, env_settings, dotenv_settings, file_secret_settings, _PrefectSource(settings_cls)

    @property
    def warehouse(self) -> str:
        """The warehouse's URL, with the default filled in."""
        return self.warehouse_url or f"duckdb:///{self.home / 'warehouse.duckdb'}"

    def reports_of(self, run_id: str) -> Path:
        """The folder of a run's reports, where no other is named."""
        return self.home / "reports" / run_id

    @property
    def landing_location(self) -> str:
        """Where untouched copies of the exports are kept, and fetched ones land, with the default filled in."""
        return self.landing or str(self.home / "landing")

    @property
    def mirror(self) -> Path:
        """Where objects of a store lie for as long as they are read, and a while longer."""
        return self.home / "mirror"

    @property
    def parts_location(self) -> str:
        """Where parts of a Dask run lie, with the default filled in."""
        return self.parts or str(self.home / "parts")

    @property
    def markets(self) -> list[str]:
        """Countries whose price sheets are fetched."""
        return _listed(self.partner_markets)

    @property
    def currencies(self) -> list[str]:
        """Currencies of unbilled exports, where they are named."""
        return _listed(self.partner_currencies)

    @property
    def has_partner_center(self) -> bool:
        """Whether Partner Center is configured.

        Raises:
            SettingsError: a part of it is missing.
        """
        needed = ("partner_tenant_id", "partner_client_id", "partner_client_secret")
        missing = [name for name in needed if not _shown(getattr(self, name))]
        if len(missing) == len(needed) and not _shown(self.partner_refresh_token):
            return False
        if missing:
            names = ", ".join(f"{PREFIX}{name.upper()}" for name in missing)
            raise SettingsError(f"Partner Center is configured in part: {names} is missing")
        return True

    @property
    def is_to_fetch(self) -> bool:
        """Whether a run without a folder fetches its exports: no folder is named, and Partner Center is configured."""
        return "exports" not in self.model_fields_set and self.has_partner_center

    def read_policy(self) -> Policy:
        """The policy that runs are judged by.

        Raises:
            SettingsError: the policy file is missing or wrong.
        """
        if self.policy is None:
            return Policy()
        try:
            text = self.policy.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{PREFIX}POLICY: cannot read {self.policy}: {error}") from None
        return parse_policy(text, str(self.policy))

    def masked(self) -> dict[str, str]:
        """What holds for every setting as text, secrets masked, by the name of its variable; empty for nothing."""
        effective = {
            "warehouse_url": self.warehouse,
            "landing": self.landing_location,
            "parts": self.parts_location,
            "policy": str(self.policy or "built in"),
            "snapshot": str(self.snapshot).lower(),
        }
        values = {name: effective.get(name, getattr(self, name)) for name in type(self).model_fields}
        return {f"{PREFIX}{name.upper()}": _shown(value) for name, value in values.items()}

    @property
    def defaulted(self) -> frozenset[str]:
        """The variables of the settings that nobody has set."""
        return frozenset(f"{PREFIX}{name.upper()}" for name in set(type(self).model_fields) - self.model_fields_set)

    def secrets(self) -> set[str]:
        """Every secret among the settings: those declared as one, and those in addresses."""
        found: set[str] = set()
        for name in type(self).model_fields:
            value = getattr(self, name)
            found |= {value.get_secret_value()} if isinstance(value, SecretStr) else secrets_in_url(str(value))
        return found


def _shown(value: Any) -> str:
    """A setting as text; a secret never."""
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    return "" if value is None else without_secrets(str(value))


def _listed(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))


class _PrefectSource(PydanticBaseSettingsSource):
    """Prefect variables `csp_billing_<name>`; for secrets, and addresses with one, Secret blocks `csp-billing-<name>`.

    Only asked inside a flow run: elsewhere it would start a Prefect server to look for them.
    """

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        from prefect.variables import Variable

        is_secret = field.annotation is SecretStr
        if is_secret or field_name in _MAY_HOLD_SECRETS:
            try:
                return secret_block(_block_name(field_name)), field_name, False
            except ValueError:
                if is_secret:
                    return None, field_name, False
        return Variable.get(f"{PREFIX.lower()}{field_name}"), field_name, False

    def __call__(self) -> dict[str, Any]:
        if not _is_in_flow_run():
            return {}
        found = {
            name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value not in (None, "")}


def renew_secret_block(setting: str, known: Set[str], value: str) -> None:
    """Inside a flow run, put a secret's new value into its block, if the block holds one of the known ones."""
    if not _is_in_flow_run():
        return
    from prefect.blocks.system import Secret

    name = _block_name(setting)
    try:
        held = secret_block(name)
    except ValueError:
        return
    if held in known:
        Secret(value=SecretStr(value)).save(name, overwrite=True)


def _is_in_flow_run() -> bool:
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None


def _block_name(setting: str) -> str:
    return f"csp-billing-{setting.replace('_', '-')}"


def secret_block(name: str) -> Any:
    """The value of a Prefect Secret block; ValueError where there is none."""
    from prefect.blocks.system import Secret

    block: Any = Secret.load(name)
    return block.get()


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; `overrides` are flags, None means not given.

    Raises:
        SettingsError: a setting is wrong; names its variable.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise SettingsError(f"{PREFIX}{name.upper()}: {first['msg'].removeprefix('Value error, ')}") from None
    mask_from_now_on(settings.secrets())
    telemetry.configure(settings.log_format, settings.log_level)
    return settings
