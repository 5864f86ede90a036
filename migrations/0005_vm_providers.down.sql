-- Undoes 0005_vm_providers.

DROP TABLE vsphere_vm_configs;
DROP TABLE proxmox_vm_configs;
DROP TABLE openstack_vm_configs;
DROP TABLE oci_vm_configs;
DROP TABLE nutanix_vm_configs;
DROP TABLE kubevirt_vm_configs;
DROP TABLE harvester_vm_configs;
DROP TABLE gcp_vm_configs;
DROP TABLE digital_ocean_vm_configs;
DROP TABLE azure_configs;
DROP TABLE aws_configs;
