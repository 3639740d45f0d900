output "epoch_key_arn" {
  description = "For `epoch_key` of the signed policy and for the module host."
  value       = aws_kms_key.epoch.arn
}

output "model_key_arns" {
  description = "For `model_key` of each publisher in the signed policy and for the module host, by model owner."
  value       = { for owner, key in aws_kms_key.model : owner => key.arn }
}
