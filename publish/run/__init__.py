"""What every command needs: settings, terminal, workspace, history."""
