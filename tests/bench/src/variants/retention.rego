package retention

import rego.v1

default allow := false

minimum_age_days := {"photo": 30, "document": 2555}

allow if {
	age := input.atMs - input.object.createdAtMs
	age >= minimum_age_days[input.object.kind] * 86400000
}
