"""Values of Subscan's answers, read without the filters."""

RECORDED = {"metadata-assethub-kusama": "subscan/api_scan_metadata.2.json"}
FAULTS = {"subscan/api_scan_metadata.1.json": "metadata-assethub-kusama"}


def metadata_assethub_kusama(answer):
    names = {
        "network.height": ("blockNum", "block"),
        "network.finalized-height": ("finalized_blockNum", "block"),
        "network.block-time": ("avgBlockTime", "s"),
        "network.validators": ("current_validator_count", "validator"),
        "network.accounts": ("count_account", "account"),
    }
    for name, (field, unit) in names.items():
        yield {
            "name": name,
            "key": "assethub-kusama",
            "value": answer["data"][field],
            "unit": unit,
            "at_us": int(answer["generated_at"]) * 1_000_000,
        }
