# The chart by Terraform's Helm provider. wait_for_jobs: apply ends when the migration is done.
resource "helm_release" "kasm_db" {
  name          = "kasm-db"
  namespace     = "kasm"
  repository    = "oci://registry.example/charts"
  chart         = "kasm-db"
  version       = "0.1.0"
  timeout       = 600
  wait          = true
  wait_for_jobs = true

  values = [yamlencode({
    database    = { host = "db.example" }
    seed        = { enabled = true }
    credentials = { existingSecret = "kasm-credentials" }
  })]
}
