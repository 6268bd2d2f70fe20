package graph

import (
	"fmt"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
)

// Cloud is a national deployment that has the calls API (Microsoft page
// "National cloud deployments"). China (21Vianet) has none.
type Cloud string

// The clouds. USGov is L4 or GCC High; both US government clouds lack the
// content sharing reads.
const (
	PublicCloud Cloud = "public"
	USGov       Cloud = "usgov"
	USGovDoD    Cloud = "usgovdod"
)

// version is the only version of Graph this package speaks by default.
const version = "v1.0"

// Root returns Graph's root in the cloud, without version.
func (c Cloud) Root() string {
	switch c {
	case USGov:
		return "https://graph.microsoft.us"
	case USGovDoD:
		return "https://dod-graph.microsoft.us"
	default:
		return "https://graph.microsoft.com"
	}
}

// BaseURL returns Graph's root with the version.
func (c Cloud) BaseURL() string { return c.Root() + "/" + version }

// Scope returns the scope that client credentials ask for. Tokens of one cloud
// are of no use in another.
func (c Cloud) Scope() string { return c.Root() + "/.default" }

// Authority returns where Microsoft Entra ID issues the cloud's tokens.
func (c Cloud) Authority() string {
	if c == USGov || c == USGovDoD {
		return cloud.AzureGovernment.ActiveDirectoryAuthorityHost
	}
	return cloud.AzurePublic.ActiveDirectoryAuthorityHost
}

func (c Cloud) check() error {
	switch c {
	case PublicCloud, USGov, USGovDoD:
		return nil
	default:
		return fmt.Errorf("unknown cloud %q: want %s, %s or %s", c, PublicCloud, USGov, USGovDoD)
	}
}
