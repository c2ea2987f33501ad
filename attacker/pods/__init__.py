"""What attackers' and readers' pods do, and how they find each other through files in the bucket."""
