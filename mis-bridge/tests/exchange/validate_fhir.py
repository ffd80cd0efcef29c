"""Validates FHIR resources, one JSON array on standard input, with the Python library fhir.resources (release R4B, the
closest to R4 that it has). Says each fault on a line of its own."""

import json
import sys

from fhir.resources.R4B import get_fhir_model_class

faults = 0
resources = json.load(sys.stdin)
for resource in resources:
    try:
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    except ValueError as fault:
        faults += 1
        print(f"{resource['resourceType']}: {fault}")
print(f"{len(resources)} resources, {faults} faults")
sys.exit(1 if faults or not resources else 0)
