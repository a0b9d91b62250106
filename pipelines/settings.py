"""Settings: flags over environment over `.env` over Prefect variables and Secret blocks over defaults."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipelines.masking import mask_from_now_on
from transforms.errors import SettingsError
from transforms.hidden import MASK, secrets_in_url, without_secrets
from transforms.policy import Policy, parse_policy

PREFIX = "CSP_BILLING_"
#: Settings whose address may hold a password or a signature: a Prefect variable can be read by everybody there.
_MAY_HOLD_SECRETS = ("warehouse_url", "exports", "parts")


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
    engine: Literal["local", "dask"] = Field(default="local", description="Who reads and judges lines.")
    dask_address: str = Field(default="", description="Address of a Dask scheduler; default: workers of this run.")
    parts: str = Field(default="", description="Folder or URL for parts of a Dask run; default: in the working folder.")
    approver: str = Field(default="", description="Who approves where --approve is given without --by.")
    snapshot: bool = Field(default=True, description="Renew the analysts' copy after each run.")
    policy: Path | None = Field(default=None, description="Policy file, JSON or TOML; default: built in.")

    @field_validator("halo_rate")
    @classmethod
    def _rate(cls, rate: str) -> str:
        requests, _, seconds = rate.partition("/")
        if not (requests.isdigit() and seconds.isdigit() and int(requests) and int(seconds)):
            raise ValueError("write it as requests/seconds, for example 300/300")
        return rate

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
    def parts_location(self) -> str:
        """Where parts of a Dask run lie, with the default filled in."""
        return self.parts or str(self.home / "parts")

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
        """Every setting as text, secrets masked, by the name of its variable."""
        shown = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = MASK if value.get_secret_value() else ""
            shown[f"{PREFIX}{name.upper()}"] = "" if value is None else without_secrets(str(value))
        return shown

    def secrets(self) -> set[str]:
        """Every secret among the settings: those declared as one, and those in addresses."""
        found: set[str] = set()
        for name in type(self).model_fields:
            value = getattr(self, name)
            found |= {value.get_secret_value()} if isinstance(value, SecretStr) else secrets_in_url(str(value))
        return found


class _PrefectSource(PydanticBaseSettingsSource):
    """Prefect variables `csp_billing_<name>`; for secrets, and addresses with one, Secret blocks `csp-billing-<name>`.

    Only asked inside a flow run: elsewhere it would start a Prefect server to look for them.
    """

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        from prefect.variables import Variable

        is_secret = field.annotation is SecretStr
        if is_secret or field_name in _MAY_HOLD_SECRETS:
            try:
                return secret_block(f"csp-billing-{field_name.replace('_', '-')}"), field_name, False
            except ValueError:
                if is_secret:
                    return None, field_name, False
        return Variable.get(f"{PREFIX.lower()}{field_name}"), field_name, False

    def __call__(self) -> dict[str, Any]:
        if "prefect" not in sys.modules:
            return {}
        from prefect.context import FlowRunContext

        if FlowRunContext.get() is None:
            return {}
        found = {
            name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value not in (None, "")}


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
        mask_from_now_on(settings.secrets())
        return settings
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        raise SettingsError(f"{PREFIX}{name.upper()}: {first['msg'].removeprefix('Value error, ')}") from None
